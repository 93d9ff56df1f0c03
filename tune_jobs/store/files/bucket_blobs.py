"""Objects under a prefix of a bucket that hold no rows: checkpoints, logs, the files of a store's probe.

A file is written on this machine first and then put whole. Every error of the bucket's client becomes an
`OSError`, as for a disk. Called by `checkpoints.places` and `on_ray.worker.store_probe`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eml_models.whole_files import write_whole
from tune_jobs.store.files.objects import open_file_system
from tune_jobs.store.files.real_folders import Removal, not_ours

NUMBER = re.compile(r"0|[1-9][0-9]*")
"""The name of a trial's folder."""


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Objects under a prefix, through an fsspec file system; all its errors become `OSError`."""

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
        """The names of the objects in a trial's folder, each with its size in bytes."""
        return self._list(folder)

    def describe(self, folder: str, name: str) -> str:
        return f"{self.root}/{folder}/{name}"

    def save(self, folder: str, name: str, content: memoryview, *, earlier: str | None) -> None:
        with tempfile.TemporaryDirectory(prefix="tune-jobs-") as scratch:
            local = Path(scratch) / "snapshot.pt"
            write_whole(local, content)
            if earlier is not None:
                with suppress(FileNotFoundError), self._path(f"{folder}/{name}", "copy") as path:
                    self.fs.cp_file(path, f"{self.root}/{folder}/{earlier}")
            with self._path(f"{folder}/{name}", "write") as path:
                self.fs.put_file(str(local), path)

    def write(self, folder: str, name: str, data: bytes) -> None:
        self.write_bytes(f"{folder}/{name}", data)

    def read(self, folder: str, name: str) -> bytes:
        return self.read_bytes(f"{folder}/{name}")

    def read_end(self, folder: str, name: str, most: int) -> bytes:
        """The last bytes of an object, at most `most`."""
        start = max(0, self._list(folder).get(name, 0) - most)
        with self._path(f"{folder}/{name}", "read") as path:
            return bytes(self.fs.cat_file(path, start=start or None))[-most:]

    def fetch(self, folder: str, name: str) -> Path:
        """A local copy, which is removed when this process ends."""
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
        """Remove nothing, since an empty prefix does not exist; returns the foreign objects under it."""
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
    """The place of a URL; fsspec's file system finds the credentials.

    Raises:
        OSError: this machine has no file system for such a URL.
    """
    with _explained("open", url):
        fs, root = open_file_system(url)
    return BucketPlace(fs, root)


@contextmanager
def _explained(action: str, path: str) -> Iterator[None]:
    """Turn any error inside into an `OSError`."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # the clients behind fsspec share no base class of their errors
        raise OSError(f"could not {action} {path!r}: {type(error).__name__}: {error}") from error


@cache
def _copies() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tune-jobs-")
