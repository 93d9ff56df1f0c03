"""Checkpoints of a study's trials: where they lie, which one to go on from, which ones to keep.

Workers save and load; the driver removes. Under ``STORE/checkpoints/STUDY/NUMBER/`` each attempt has a file
of its own, so that a worker that outlives its driver cannot overwrite what a newer attempt wrote. What a file
holds is `eml_models.snapshot`'s business: tensors and plain values, read as data and never as code. Imports
no torch until something is saved. In a bucket a file is written here first and put whole. Whatever a bucket's
client raises becomes an `OSError`, as a disk's errors are: whoever calls decides what a moment without it may
cost.

A checkpoint is saved only after the driver has recorded the report of its epoch: going on from it leaves no
epoch without a report. The weights after the last epoch are saved before that epoch's report, since the
driver ends the trial with it; they are for exporting, never for going on.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = "checkpoints"
LIVING, FINAL = "attempt", "final"
FILE_PATTERN = re.compile(rf"({LIVING}|{FINAL})-([0-9]+)\.pt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one study.

    Attributes:
        store: the store's folder or URL, as every machine of the cluster sees it.
        study: the study's name.
    """

    store: str
    study: str

    def latest(self, number: int) -> Path | None:
        """A file that the trial can go on from: of the newest attempt that has one.

        Raises:
            OSError: the store cannot be read.
        """
        return self._newest(LIVING, number)

    def final(self, number: int) -> Path | None:
        """A file with the weights after the last epoch."""
        return self._newest(FINAL, number)

    def has_final(self, number: int) -> bool:
        """Whether there is one."""
        return bool(self._attempts(FINAL, number))

    def save(self, number: int, attempt: int, snapshot: Any, *, final: bool = False) -> None:
        """Write an attempt's snapshot, whole or not at all, over its earlier one.

        Raises:
            OSError: it could not be written; the earlier one is as it was.
        """
        self._place.save(f"{number}/{FINAL if final else LIVING}-{attempt}.pt", snapshot)

    def numbers(self) -> list[int]:
        """The trials that have files, ascending."""
        return sorted(int(name) for name in self._place.sizes("") if name.isdigit())

    def num_bytes(self, number: int) -> int:
        """The size of a trial's files."""
        return sum(self._place.sizes(str(number)).values())

    def remove_living(self, number: int) -> None:
        """Remove what an ended trial could have gone on from; its final weights stay."""
        for attempt in self._attempts(LIVING, number):
            self._place.remove(f"{number}/{LIVING}-{attempt}.pt")

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove the files of trials; what is left of them can be removed later.

        Raises:
            OSError: the store cannot be reached.
        """
        for number in numbers:
            self._place.remove(str(number))

    def folder(self, number: int) -> Path:
        """Where the files of one trial lie, in a local store."""
        return Path(self.store) / FOLDER / self.study / str(number)

    @property
    def _place(self) -> LocalPlace | BucketPlace:
        root = f"{self.store}/{FOLDER}/{self.study}"
        return bucket_place(root) if "://" in self.store else LocalPlace(Path(root))

    def _newest(self, kind: str, number: int) -> Path | None:
        attempts = self._attempts(kind, number)
        return self._place.fetch(f"{number}/{kind}-{max(attempts)}.pt") if attempts else None

    def _attempts(self, kind: str, number: int) -> list[int]:
        found = (match for name in self._place.sizes(str(number)) if (match := FILE_PATTERN.fullmatch(name)))
        return [int(match[2]) for match in found if match[1] == kind]


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """Files under a folder."""

    root: Path

    def sizes(self, key: str) -> Mapping[str, int]:
        """What is in a folder, with the bytes of each file."""
        folder, sizes = self.root / key, {}
        for name in os.listdir(folder) if folder.is_dir() else []:
            with suppress(FileNotFoundError):  # a worker may replace it meanwhile
                sizes[name] = (folder / name).stat().st_size
        return sizes

    def save(self, key: str, snapshot: Any) -> None:
        from eml_models.snapshot import save_snapshot

        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        save_snapshot(snapshot, path)

    def fetch(self, key: str) -> Path:
        return self.root / key

    def remove(self, key: str) -> None:
        path = self.root / key
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Objects under a prefix, through an fsspec file system; every error of it is an `OSError`."""

    fs: Any
    root: str

    def sizes(self, key: str) -> Mapping[str, int]:
        """What is under a prefix, with the bytes of each object."""
        try:
            with self._path(key, "list") as path:
                found = self.fs.ls(path.rstrip("/"), detail=True, refresh=True)
        except FileNotFoundError:
            return {}
        return {entry["name"].rstrip("/").rpartition("/")[2]: entry["size"] or 0 for entry in found}

    def save(self, key: str, snapshot: Any) -> None:
        from eml_models.snapshot import save_snapshot

        with tempfile.TemporaryDirectory(prefix="tune-jobs-") as folder:
            local = Path(folder) / "snapshot.pt"
            save_snapshot(snapshot, local)
            with self._path(key, "write") as path:
                self.fs.put_file(str(local), path)

    def fetch(self, key: str) -> Path:
        """A local copy; it goes with this process."""
        local = Path(_copies().name) / key.replace("/", "-")
        with self._path(key, "read") as path:
            self.fs.get_file(path, str(local))
        return local

    def remove(self, key: str) -> None:
        with suppress(FileNotFoundError), self._path(key, "remove") as path:
            self.fs.rm(path, recursive=True)

    def read_bytes(self, key: str) -> bytes:
        with self._path(key, "read") as path:
            return bytes(self.fs.cat_file(path))

    def write_bytes(self, key: str, data: bytes) -> None:
        with self._path(key, "write") as path:
            self.fs.pipe_file(path, data)

    @contextmanager
    def _path(self, key: str, action: str) -> Iterator[str]:
        path = f"{self.root}/{key}"
        with _explained(action, path):
            yield path


@cache
def bucket_place(url: str) -> BucketPlace:
    """The place of a URL; credentials come from where fsspec's file system looks for them.

    Raises:
        OSError: there is no file system for it on this machine.
    """
    import fsspec

    with _explained("open", url):
        fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return BucketPlace(fs, root)


@contextmanager
def _explained(action: str, path: str) -> Iterator[None]:
    """Turn whatever is raised inside into an `OSError`; one that is one stays what it is."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # the clients behind fsspec share no base class of their errors
        raise OSError(f"could not {action} {path!r}: {type(error).__name__}: {error}") from error


@cache
def _copies() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tune-jobs-")
