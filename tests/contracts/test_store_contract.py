"""Every shipped place for a store keeps the contract, and so does one that is written for this test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tune_jobs.errors import StoreError, StoreLockedError
from tune_jobs.store.files.holders import Hold
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.files.objects import ObjectFiles
from tune_jobs.store.files.protocol import Files
from tune_jobs.testing.contracts.files import FilesContract


class MemoryFiles:
    """A store in memory: what a bucket would look like from here, with an append of its own."""

    has_folders = False

    def __init__(self) -> None:
        self.fs = MemoryFileSystem()
        self.fs.store = {}
        self.fs.pseudo_dirs = [""]
        self.held: dict[str, Mapping[str, object]] = {}

    def describe(self, key: str) -> str:
        return f"memory:/{key}"

    def make_folder(self, key: str) -> None:
        self.fs.makedirs(f"/{key}", exist_ok=True)

    def list_names(self, folder: str) -> list[str]:
        if not self.fs.exists(f"/{folder}"):
            return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in self.fs.ls(f"/{folder}", detail=False))

    def list_sizes(self, folder: str) -> Mapping[str, int]:
        return {name: len(self.read(f"{folder}/{name}") or b"") for name in self.list_names(folder)}

    def exists(self, key: str) -> bool:
        return bool(self.fs.exists(f"/{key}"))

    def read(self, key: str) -> bytes | None:
        return bytes(self.fs.cat_file(f"/{key}")) if self.exists(key) else None

    def put(self, key: str, data: bytes, *, scratch: str) -> None:
        self.fs.pipe_file(f"/{key}", data)

    def remove(self, key: str) -> None:
        if self.exists(key):
            self.fs.rm_file(f"/{key}")

    def move(self, key: str, target: str) -> None:
        self.put(target, self.read(key) or b"", scratch="")
        self.remove(key)

    def remove_aside(self, folder: str, is_own: Callable[[str], bool]) -> list[str]:
        paths = self.fs.find(f"/{folder}") if self.exists(folder) else []
        for path in paths:
            if is_own(path.rpartition("/")[2]):
                self.fs.rm_file(path)
        return [path for path in paths if not is_own(path.rpartition("/")[2])]

    def require_real(self, folder: str) -> None:
        """Nothing: memory has no links."""

    def sync_folder(self, key: str) -> None:
        """Nothing: what was removed is gone."""

    def exchange_folders(self, current: str, new: str, *, old: str) -> None:
        raise StoreError("a store in memory has no folders to exchange")

    def open_append(self, key: str) -> MemoryAppend:
        assert not self.exists(key)
        self.put(key, b"", scratch="")
        return MemoryAppend(self, key)

    def lock(
        self, key: str, *, subject: str, holder: Mapping[str, object], wait_s: float = 0.0
    ) -> MemoryLock:
        if key in self.held:
            raise StoreLockedError(f"{subject} is being written")
        self.held[key] = holder
        return MemoryLock(self, key)

    def read_lock(self, key: str) -> Hold | None:
        return Hold.of(self.held[key]) if key in self.held else None

    def arrow(self) -> pafs.FileSystem:
        return pafs.SubTreeFileSystem("/", pafs.PyFileSystem(pafs.FSSpecHandler(self.fs)))


class MemoryAppend:
    def __init__(self, files: MemoryFiles, key: str) -> None:
        self.files, self.key = files, key

    def append(self, data: bytes, *, may_wait: bool = False, more: bool = False) -> None:
        self.files.put(self.key, (self.files.read(self.key) or b"") + data, scratch="")

    def close(self) -> None:
        pass


class MemoryLock:
    def __init__(self, files: MemoryFiles, key: str) -> None:
        self.files, self.key = files, key

    def release(self) -> None:
        self.files.held.pop(self.key, None)


class TestLocalFolder(FilesContract):
    def open(self, folder: Path) -> Files:
        return LocalFiles(folder)


class TestMemory(FilesContract):
    def open(self, folder: Path) -> Files:
        return MemoryFiles()


class TestS3(FilesContract):
    @pytest.fixture
    def files(self, s3_store: str) -> Files:
        return ObjectFiles(s3_store)
