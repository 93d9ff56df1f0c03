"""Checkpoints of one study: their names, their owners, and saving, reading and removing them.

Workers save and read; the driver removes. Under ``STORE/checkpoints/STUDY/NUMBER/`` each attempt has its own
files, so a worker that outlives its driver cannot overwrite the files of a newer attempt:

* ``attempt-N.pt``: the latest checkpoint of attempt N; ``earlier-N.pt``: the checkpoint before it, used if
  the latest is damaged. So a living trial takes the room of two checkpoints, and an ended trial of none.
* ``final-N.pt``: the weights after the last epoch, for exporting, never for resuming.

`eml_models.training.snapshot` defines the content of a file: tensors and plain values, read as data and never
as code. Each file also names its owner: the study, by the fingerprint of its definition and the instant of
its creation (a later study may have the same name), the trial, the attempt, and the recipe. Only `iter_own`
opens files, and it yields only files of the asked trial. torch is imported only when a file is saved or read.

A checkpoint is saved only after the driver has recorded the report of its epoch, so resuming from it leaves
no epoch without a report. The weights after the last epoch are saved before that epoch's report, since the
driver ends the trial with that report.

Only files with these names, and their unfinished copies, are ever removed, damaged or not, and only in real
folders; a folder is removed only if it is then empty. Called by `saving`, `retention`, and the commands
`export` and `delete`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.places import LocalPlace, place_of
from tune_jobs.errors import StoreError
from tune_jobs.store.files.bucket_blobs import BucketPlace
from tune_jobs.store.files.file_urls import as_folder
from tune_jobs.store.files.protocol import open_files
from tune_jobs.store.files.real_folders import Removal
from tune_jobs.store.format.definitions import read_definition

ReadOwner = Callable[[Path], Mapping[str, str | int]]
"""Reads the owner of a file; raises `InvalidValueError` if the file is damaged."""

FOLDER = "checkpoints"
LIVING, EARLIER, FINAL = "attempt", "earlier", "final"
_NAME = rf"(?P<kind>{LIVING}|{EARLIER}|{FINAL})-(?P<attempt>[1-9][0-9]*)\.pt"
FILE_PATTERN = re.compile(_NAME)
HALF_PATTERN = re.compile(rf"\.{_NAME}\.[0-9a-f]{{32}}\.tmp")
"""Names of the unfinished files that a killed process leaves (`eml_models.whole_files`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The identity of a study among all studies that have had its name.

    Attributes:
        fingerprint: of its definition.
        created_at: the instant of its creation in the store, as ISO 8601.
    """

    fingerprint: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one study.

    Attributes:
        store: the store's folder or URL, as every machine of the cluster sees it.
        study: the study's name.
        identity: of the study; None is enough for listing and removing files.
    """

    store: str
    study: str
    identity: Identity | None = None

    @classmethod
    def of(cls, store: str, study: str) -> Checkpoints:
        """The checkpoints of a study that a store defines.

        Raises:
            StoreError: the store has no such study, or its definition is damaged.
        """
        row = read_definition(open_files(store), study)
        if row is None:
            raise StoreError(
                f"{store!r} has no study {study!r}, so it has no checkpoints of it; `list` shows its studies"
            )
        identity = Identity(fingerprint=row.fingerprint, created_at=row.created_at.isoformat())
        return cls(store=store, study=study, identity=identity)

    def save(self, number: int, attempt: int, snapshot: Any, *, recipe: str, final: bool = False) -> None:
        """Write an attempt's snapshot, whole or not at all; its checkpoint before stays beside it.

        Args:
            recipe: the attempt's recipe, as JSON.
            final: whether these are the weights after the last epoch.

        Raises:
            OSError: it could not be written; earlier files are unchanged.
        """
        from eml_models.training.snapshot import snapshot_content

        owned = replace(snapshot, owner=self.owner(number, attempt, recipe))
        self.write(number, attempt, snapshot_content(owned), final=final)

    def write(self, number: int, attempt: int, content: memoryview, *, final: bool = False) -> None:
        """Write the content of an attempt's file, which names `owner`; see `save`."""
        name = f"{FINAL if final else LIVING}-{attempt}.pt"
        self._place.save(str(number), name, content, earlier=None if final else f"{EARLIER}-{attempt}.pt")

    def iter_living(
        self,
        number: int,
        recipes: Mapping[int, str],
        problems: list[str],
        *,
        read_owner: ReadOwner | None = None,
    ) -> Iterator[Path]:
        """Files from which a trial can be resumed, the newest first: see `iter_own`."""
        return self.iter_own(number, (LIVING, EARLIER), recipes, problems, read_owner=read_owner)

    def iter_final(
        self,
        number: int,
        recipes: Mapping[int, str],
        problems: list[str],
        *,
        read_owner: ReadOwner | None = None,
    ) -> Iterator[Path]:
        """Files with a trial's weights after its last epoch, the newest first: see `iter_own`."""
        return self.iter_own(number, (FINAL,), recipes, problems, read_owner=read_owner)

    def iter_own(
        self,
        number: int,
        kinds: tuple[str, ...],
        recipes: Mapping[int, str],
        problems: list[str],
        *,
        read_owner: ReadOwner | None = None,
    ) -> Iterator[Path]:
        """The undamaged files of these kinds of one trial of this study, those of the newest attempt first.

        Args:
            recipes: the recipe of each attempt of the trial, as JSON; a file of any other attempt is not
                used.
            problems: gets the reason, in words, for each file that is not used.
            read_owner: reads the owner of a file; None for that of a snapshot.

        Raises:
            OSError: the store cannot be read.
        """
        from eml_models.training import snapshot

        read = read_owner or snapshot.read_owner
        for name, attempt in self._names(number, kinds):
            where, path = self._place.describe(str(number), name), self._place.fetch(str(number), name)
            try:
                owner = read(path)
            except InvalidValueError as error:
                problems.append(str(error).replace(str(path), where))
                continue
            recipe = recipes.get(attempt)
            differs = "attempt" if recipe is None else self._difference(owner, number, attempt, recipe)
            if differs is None:
                yield path
            else:
                problems.append(f"{where} is of another training (its {differs} differs), so it is not used")

    def has_final(self, number: int) -> bool:
        """Whether there is a file with the weights after the last epoch, of this study or another."""
        return bool(self._names(number, (FINAL,)))

    def numbers(self) -> list[int]:
        """The trials that have a folder, ascending."""
        return sorted(map(int, self._place.folders()))

    def num_bytes(self, number: int) -> int:
        """The size of a trial's files in bytes."""
        return sum(size for name, size in self._place.sizes(str(number)).items() if _is_own(name))

    def remove_living(self, number: int) -> Removal:
        """Remove the checkpoints of an ended trial; its final weights stay."""
        return self._place.remove(str(number), lambda name: _kind_of(name) in (LIVING, EARLIER))

    def remove(self, numbers: Iterable[int]) -> Removal:
        """Remove the files of trials; files that cannot be removed now can be removed later.

        Raises:
            OSError: the store cannot be reached.
        """
        return sum((self._place.remove(str(number), _is_own) for number in numbers), Removal())

    def remove_all(self) -> Removal:
        """Remove the files of all trials; the result names the foreign files.

        Raises:
            OSError: the store cannot be reached, or a link is in the way.
        """
        return self.remove(self.numbers()) + self._place.remove_if_empty()

    def folder(self, number: int) -> Path:
        """The folder of one trial's files, in a local store."""
        return Path(as_folder(self.store)) / FOLDER / self.study / str(number)

    @property
    def _place(self) -> LocalPlace | BucketPlace:
        return place_of(self.store, f"{FOLDER}/{self.study}")

    def _names(self, number: int, kinds: tuple[str, ...]) -> list[tuple[str, int]]:
        """Files of these kinds with their attempts: newest attempt first, then in the order of `kinds`."""
        names = self._place.sizes(str(number))
        found = [
            match for name in names if (match := FILE_PATTERN.fullmatch(name)) and match["kind"] in kinds
        ]
        found.sort(key=lambda match: (-int(match["attempt"]), kinds.index(match["kind"])))
        return [(match[0], int(match["attempt"])) for match in found]

    def owner(self, number: int, attempt: int, recipe: str) -> dict[str, str | int]:
        """The identity of an attempt, as its files name it."""
        assert self.identity is not None
        return {
            "study": self.study,
            "fingerprint": self.identity.fingerprint,
            "created_at": self.identity.created_at,
            "trial": number,
            "attempt": attempt,
            "recipe": recipe,
        }

    def _difference(self, owner: Mapping[str, Any], number: int, attempt: int, recipe: str) -> str | None:
        """The field in which a file's owner differs from this attempt; None if it is the same."""
        expected = self.owner(number, attempt, recipe)
        for name, value in expected.items():
            if owner.get(name) != value and not (name == "recipe" and _is_same_json(owner.get(name), recipe)):
                return {"created_at": "study's creation", "fingerprint": "study's definition"}.get(name, name)
        return None


def _kind_of(name: str) -> str | None:
    """The kind of one of our files, finished or not; None for a foreign file."""
    match = FILE_PATTERN.fullmatch(name) or HALF_PATTERN.fullmatch(name)
    return match["kind"] if match else None


def _is_own(name: str) -> bool:
    return _kind_of(name) is not None


def _is_same_json(one: object, other: str) -> bool:
    try:
        return isinstance(one, str) and json.loads(one) == json.loads(other)
    except (ValueError, RecursionError):
        return False
