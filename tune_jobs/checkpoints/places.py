"""The place of one study's checkpoints or logs: a folder or a bucket, behind one interface.

Only files with names that `checkpoints.files` and `checkpoints.logs` give are ever removed, and only in real
folders. Knows names and bytes, not their meaning. For a bucket it returns `store.files.bucket_blobs`. Called
by these two.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from eml_models.whole_files import write_whole
from tune_jobs.store.files.bucket_blobs import NUMBER, BucketPlace, bucket_place
from tune_jobs.store.files.file_urls import as_folder
from tune_jobs.store.files.protocol import is_url
from tune_jobs.store.files.real_folders import (
    Removal,
    list_real,
    not_ours,
    real_folder,
    remove_if_empty,
    remove_own,
    require_real,
)


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """Folders of trials under the folder `key` of a store."""

    store: Path
    key: str

    def folders(self) -> list[str]:
        """The names of the trials' folders.

        Raises:
            OSError: they cannot be listed, or a part of the path is a link.
        """
        found = list_real(self.store, self.key)
        return [name for name, state in found if stat.S_ISDIR(state.st_mode) and NUMBER.fullmatch(name)]

    def sizes(self, folder: str) -> Mapping[str, int]:
        """The files in a trial's folder, each with its size in bytes."""
        found = list_real(self.store, f"{self.key}/{folder}")
        return {name: state.st_size for name, state in found if stat.S_ISREG(state.st_mode)}

    def describe(self, folder: str, name: str) -> str:
        return str(self.store / self.key / folder / name)

    def save(self, folder: str, name: str, content: memoryview, *, earlier: str | None) -> None:
        """Write a file whole; an earlier file of its name becomes `earlier`, if that is not None."""
        path = self.store / self.key / folder
        with real_folder(self.store, f"{self.key}/{folder}", make=True):
            write_whole(path / name, content, earlier_to=None if earlier is None else path / earlier)

    def write(self, folder: str, name: str, data: bytes) -> None:
        """Write a file whole; if the machine itself crashes at that time, the file may be lost."""
        with real_folder(self.store, f"{self.key}/{folder}", make=True):
            write_whole(self.store / self.key / folder / name, data, durable=False)

    def read(self, folder: str, name: str) -> bytes:
        return self.fetch(folder, name).read_bytes()

    def read_end(self, folder: str, name: str, most: int) -> bytes:
        """The last bytes of a file, at most `most`; a link is not followed."""
        with real_folder(self.store, f"{self.key}/{folder}") as handle:
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            with os.fdopen(opened, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - most))
                return file.read(most)

    def fetch(self, folder: str, name: str) -> Path:
        require_real(self.store, f"{self.key}/{folder}")
        return self.store / self.key / folder / name

    def remove(self, folder: str, is_own: Callable[[str], bool]) -> Removal:
        """Remove the files with our own names, and the folder if it is then empty."""
        return remove_own(self.store, f"{self.key}/{folder}", is_own)

    def remove_if_empty(self) -> Removal:
        """Remove the study's folder if it is empty; returns the foreign files that keep it."""
        try:
            remove_if_empty(self.store, self.key)
            found = list_real(self.store, self.key)
        except OSError as error:
            return Removal(failed=(str(error),))
        foreign = [
            name for name, state in found if not (stat.S_ISDIR(state.st_mode) and NUMBER.fullmatch(name))
        ]
        return Removal(foreign=tuple(not_ours(self.store / self.key / name) for name in foreign))


def place_of(store: str, key: str) -> LocalPlace | BucketPlace:
    """The place of a folder of a store."""
    store = as_folder(store)
    return bucket_place(f"{store}/{key}") if is_url(store) else LocalPlace(Path(store).absolute(), key)
