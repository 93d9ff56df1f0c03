"""Where the checkpoints of one study lie: a folder or a bucket, behind one interface.

Only files with the names that `tune_jobs.checkpoints.files` gives are ever removed, and only in real folders.
In a bucket a file is written here first and put whole; whatever its client raises becomes an `OSError`, as a
disk's errors are. Knows names and bytes; what they mean is `tune_jobs.checkpoints.files`' business.
"""

from __future__ import annotations

import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tune_jobs.store.files.real_folders import (
    Removal,
    list_real,
    not_ours,
    real_folder,
    remove_if_empty,
    remove_own,
    require_real,
)

NUMBER = re.compile(r"0|[1-9][0-9]*")
"""The name of a trial's folder."""


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """Folders of trials under the folder `key` of a store."""

    store: Path
    key: str

    def folders(self) -> list[str]:
        """The names of the trials' folders.

        Raises:
            OSError: they cannot be listed, or a link is in the way.
        """
        found = list_real(self.store, self.key)
        return [name for name, state in found if stat.S_ISDIR(state.st_mode) and NUMBER.fullmatch(name)]

    def sizes(self, folder: str) -> Mapping[str, int]:
        """The files in a trial's folder, with the bytes of each."""
        found = list_real(self.store, f"{self.key}/{folder}")
        return {name: state.st_size for name, state in found if stat.S_ISREG(state.st_mode)}

    def describe(self, folder: str, name: str) -> str:
        return str(self.store / self.key / folder / name)

    def save(self, folder: str, name: str, snapshot: Any, *, earlier: str | None) -> None:
        """Write a file whole; an earlier one of its name becomes `earlier`."""
        from eml_models.training.snapshot import save_snapshot

        path = self.store / self.key / folder
        with real_folder(self.store, f"{self.key}/{folder}", make=True):
            save_snapshot(snapshot, path / name, earlier_to=None if earlier is None else path / earlier)

    def fetch(self, folder: str, name: str) -> Path:
        require_real(self.store, f"{self.key}/{folder}")
        return self.store / self.key / folder / name

    def remove(self, folder: str, is_own: Callable[[str], bool]) -> Removal:
        """Remove the files whose names are our own, and the folder if it is then empty."""
        return remove_own(self.store, f"{self.key}/{folder}", is_own)

    def remove_if_empty(self) -> Removal:
        """Remove the folder of the study; returns what is foreign in it, for which it stays."""
        try:
            remove_if_empty(self.store, self.key)
            found = list_real(self.store, self.key)
        except OSError as error:
            return Removal(failed=(str(error),))
        foreign = [
            name for name, state in found if not (stat.S_ISDIR(state.st_mode) and NUMBER.fullmatch(name))
        ]
        return Removal(foreign=tuple(not_ours(self.store / self.key / name) for name in foreign))


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Objects under a prefix, through an fsspec file system; every error of it is an `OSError`."""

    fs: Any
    root: str

    def folders(self) -> list[str]:
        """The names of the trials that have objects."""
        try:
            with self._path("", "list") as path:
                found = self.fs.find(path.rstrip("/"))
        except FileNotFoundError:
            return []
        start = len(self.root) + 1
        names = {path[start:].partition("/")[0] for path in found if "/" in path[start:]}
        return sorted(name for name in names if NUMBER.fullmatch(name))

    def sizes(self, folder: str) -> Mapping[str, int]:
        """What is under a prefix, with the bytes of each object."""
        return self._list(folder)

    def describe(self, folder: str, name: str) -> str:
        return f"{self.root}/{folder}/{name}"

    def save(self, folder: str, name: str, snapshot: Any, *, earlier: str | None) -> None:
        from eml_models.training.snapshot import save_snapshot

        with tempfile.TemporaryDirectory(prefix="tune-jobs-") as scratch:
            local = Path(scratch) / "snapshot.pt"
            save_snapshot(snapshot, local)
            if earlier is not None:
                with suppress(FileNotFoundError), self._path(f"{folder}/{name}", "copy") as path:
                    self.fs.cp_file(path, f"{self.root}/{folder}/{earlier}")
            with self._path(f"{folder}/{name}", "write") as path:
                self.fs.put_file(str(local), path)

    def fetch(self, folder: str, name: str) -> Path:
        """A local copy; it goes with this process."""
        local = Path(_copies().name) / f"{folder}-{name}"
        with self._path(f"{folder}/{name}", "read") as path:
            self.fs.get_file(path, str(local))
        return local

    def remove(self, folder: str, is_own: Callable[[str], bool]) -> Removal:
        """Remove the objects whose names are our own."""
        removal = Removal()
        for name in self._list(folder):
            where = self.describe(folder, name)
            if not is_own(name):
                removal += Removal(foreign=(not_ours(where),))
                continue
            try:
                self.remove_object(f"{folder}/{name}")
                removal += Removal(num_files=1)
            except OSError as error:
                removal += Removal(failed=(f"{where}: {error}",))
        return removal

    def remove_if_empty(self) -> Removal:
        """Nothing is left of an empty prefix; returns what is foreign under it."""
        try:
            foreign = [name for name in self._list("") if not NUMBER.fullmatch(name)]
        except OSError as error:
            return Removal(failed=(f"{self.root}: {error}",))
        return Removal(foreign=tuple(not_ours(f"{self.root}/{name}") for name in foreign))

    def remove_object(self, key: str) -> None:
        with suppress(FileNotFoundError), self._path(key, "remove") as path:
            self.fs.rm_file(path)

    def read_bytes(self, key: str) -> bytes:
        with self._path(key, "read") as path:
            return bytes(self.fs.cat_file(path))

    def write_bytes(self, key: str, data: bytes) -> None:
        with self._path(key, "write") as path:
            self.fs.pipe_file(path, data)

    def _list(self, key: str) -> dict[str, int]:
        try:
            with self._path(key, "list") as path:
                found = self.fs.ls(path.rstrip("/"), detail=True, refresh=True)
        except FileNotFoundError:
            return {}
        return {entry["name"].rstrip("/").rpartition("/")[2]: entry["size"] or 0 for entry in found}

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


def place_of(store: str, key: str) -> LocalPlace | BucketPlace:
    """The place of a folder of a store."""
    return bucket_place(f"{store}/{key}") if "://" in store else LocalPlace(Path(store).absolute(), key)


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
