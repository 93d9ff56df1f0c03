"""Checkpoints of a study's trials: where they lie, which one to go on from, which ones to keep.

Workers save and load; the driver removes. Under ``STORE/checkpoints/STUDY/NUMBER/`` each attempt has a file
of its own, so that a worker that outlives its driver cannot overwrite what a newer attempt wrote. What a file
holds is `eml_models.snapshot`'s business: tensors and plain values, read as data and never as code. Imports
no torch until something is saved.

A checkpoint is saved only after the driver has recorded the report of its epoch: going on from it leaves no
epoch without a report. The weights after the last epoch are saved before that epoch's report, since the
driver ends the trial with it; they are for exporting, never for going on.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "checkpoints"
LIVING, FINAL = "attempt", "final"
FILE_PATTERN = re.compile(rf"({LIVING}|{FINAL})-([0-9]+)\.pt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one study.

    Attributes:
        store: the store's folder, as every machine of the cluster sees it.
        study: the study's name.
    """

    store: str
    study: str

    def folder(self, number: int) -> Path:
        """Where the files of one trial lie."""
        return Path(self.store) / FOLDER / self.study / str(number)

    def latest(self, number: int) -> Path | None:
        """The file that the trial can go on from: of the newest attempt that has one."""
        return self._newest(LIVING, number)

    def final(self, number: int) -> Path | None:
        """The file with the weights after the last epoch."""
        return self._newest(FINAL, number)

    def save(self, number: int, attempt: int, snapshot: Any, *, final: bool = False) -> None:
        """Write an attempt's snapshot, whole or not at all, over its earlier one.

        Raises:
            OSError: it could not be written; the earlier one is as it was.
        """
        from eml_models.snapshot import save_snapshot

        folder = self.folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        save_snapshot(snapshot, folder / f"{FINAL if final else LIVING}-{attempt}.pt")

    def numbers(self) -> list[int]:
        """The trials that have files, ascending."""
        root = Path(self.store) / FOLDER / self.study
        names = os.listdir(root) if root.is_dir() else []
        return sorted(int(name) for name in names if name.isdigit())

    def num_bytes(self, number: int) -> int:
        """The size of a trial's files."""
        size = 0
        for path in self.folder(number).glob("*.pt"):
            with suppress(FileNotFoundError):  # a worker may replace it meanwhile
                size += path.stat().st_size
        return size

    def remove_living(self, number: int) -> None:
        """Remove what an ended trial could have gone on from; its final weights stay."""
        for path in self.folder(number).glob(f"{LIVING}-*.pt"):
            path.unlink(missing_ok=True)

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove the files of trials; what cannot be removed now is left for the next run."""
        for number in numbers:
            shutil.rmtree(self.folder(number), ignore_errors=True)

    def _newest(self, kind: str, number: int) -> Path | None:
        folder = self.folder(number)
        names = os.listdir(folder) if folder.is_dir() else []
        found = (match for name in names if (match := FILE_PATTERN.fullmatch(name)))
        attempts = [int(match[2]) for match in found if match[1] == kind]
        return folder / f"{kind}-{max(attempts)}.pt" if attempts else None
