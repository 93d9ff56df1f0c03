"""The store's files in a local folder (or a network one with working `flock`).

Implements `protocol.Files`. Durability: `append` ends in fdatasync. `put` writes a uniquely named file in the
scratch folder, syncs it, renames it and syncs the folder, so a reader sees a file whole or not at all, also
after a crash of the machine. A lock is a `flock`: the kernel releases it whenever its process dies. Called
through `protocol.open_files`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR

import pyarrow.fs as pafs

from eml_models.errors import InvalidValueError
from tune_jobs.errors import StoreError, StoreLockedError, StoreMissingError
from tune_jobs.store.files.holders import Hold, describe_holder
from tune_jobs.store.files.real_folders import (
    NotRealFolderError,
    list_real,
    not_ours,
    remove_own,
    require_real,
)
from tune_jobs.store.files.swapping import swap_paths
from tune_jobs.study.json_fields import parse_object

LOCK_POLL_S = 0.01
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
NOT_A_FOLDER = frozenset({errno.ENOTDIR, errno.EEXIST})

sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class LocalFiles:
    """The files of a store in a folder; the folder need not exist yet."""

    has_folders = True

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()

    def describe(self, key: str) -> str:
        return str(self.root / key)

    def make_folder(self, key: str) -> None:
        path = self.root / key
        with explained("make the folder", path):
            if path.is_dir():
                return
            missing = [folder for folder in (path, *path.parents) if not folder.exists()]
            path.mkdir(parents=True, exist_ok=True)
            for folder in missing:
                _sync_folder(folder.parent)

    def list_names(self, folder: str) -> list[str]:
        path = self.root / folder
        with explained("list", path):
            try:
                return sorted(os.listdir(path))
            except FileNotFoundError:
                return []

    def list_sizes(self, folder: str) -> Mapping[str, int]:
        path = self.root / folder
        found = {}
        with explained("list", path), suppress(FileNotFoundError), os.scandir(path) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # another process may have removed it meanwhile
                    found[entry.name] = entry.stat().st_size
        return found

    def exists(self, key: str) -> bool:
        path = self.root / key
        with explained("look for", path):
            return path.exists()

    def read(self, key: str) -> bytes | None:
        path = self.root / key
        with explained("read", path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def put(self, key: str, data: bytes, *, scratch: str) -> None:
        path = self.root / key
        temporary = self.root / scratch / f"{path.name}.{secrets.token_hex(6)}"
        with explained("write", path):
            try:
                handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
                try:
                    _write_all(handle, data)
                    os.fsync(handle)
                finally:
                    os.close(handle)
                os.replace(temporary, path)
            except BaseException:  # an interrupt too must leave no partial file
                with suppress(OSError):
                    os.unlink(temporary)
                raise
            _sync_folder(path.parent)

    def remove(self, key: str) -> None:
        path = self.root / key
        with explained("remove", path):
            path.unlink(missing_ok=True)

    def move(self, key: str, target: str) -> None:
        with explained("move", self.root / key):
            os.replace(self.root / key, self.root / target)
            _sync_folder((self.root / target).parent)

    def remove_aside(self, folder: str, is_own: Callable[[str], bool]) -> list[str]:
        path = self.root / folder
        with explained("remove", path):
            try:
                below = [name for name, state in list_real(self.root, folder) if S_ISDIR(state.st_mode)]
            except NotRealFolderError as error:
                return [str(error)]
        inner = [one for name in below for one in self.remove_aside(f"{folder}/{name}", is_own)]
        done = remove_own(self.root, folder, is_own)
        if done.failed:
            raise StoreError(f"could not remove {'; '.join(done.failed)}")
        folders = {not_ours(path / name) for name in below}  # their foreign files are named already
        return [*inner, *(problem for problem in done.foreign if problem not in folders)]

    def require_real(self, folder: str) -> None:
        try:
            require_real(self.root, folder)
        except NotRealFolderError as error:
            raise StoreError(str(error)) from error

    def sync_folder(self, key: str) -> None:
        with explained("sync", self.root / key):
            _sync_folder(self.root / key)

    def exchange_folders(self, current: str, new: str, *, old: str) -> None:
        place, coming, going = (self.root / key for key in (current, new, old))
        with explained("exchange", place):
            if swap_paths(coming, place):
                os.rename(coming, going)
            else:
                os.rename(place, going)
                os.rename(coming, place)
            for folder in {place.parent, coming.parent, going.parent}:
                _sync_folder(folder)

    def open_append(self, key: str) -> LocalAppendFile:
        return LocalAppendFile(self.root / key)

    def lock(self, key: str, *, subject: str, holder: Mapping[str, object], wait_s: float = 0.0) -> LocalLock:
        return LocalLock(self.root / key, subject, holder, wait_s)

    def read_lock(self, key: str) -> Hold | None:
        text = self.read(key)  # empty once it is released
        return Hold.of(_read_holder(text)) if text else None

    def arrow(self) -> pafs.FileSystem:
        return pafs.SubTreeFileSystem(str(self.root), pafs.LocalFileSystem())


class LocalAppendFile:
    """A new file that only grows; when `append` returns, the data is on disk.

    With `more` it is on disk when the next append without `more` returns, or at the end.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._size, self._num_waiting = path, 0, 0
        with explained("make", path):
            self._handle = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666
            )
            _sync_folder(path.parent)

    def append(self, data: bytes, *, may_wait: bool = False, more: bool = False) -> None:
        with explained("write", self._path):
            try:
                _write_all(self._handle, data)
                if not more:
                    sync_data(self._handle)
            except BaseException:  # an interrupt too
                with suppress(OSError):
                    os.ftruncate(self._handle, self._size)
                raise
        self._num_waiting += len(data)
        if not more:
            self._size, self._num_waiting = self._size + self._num_waiting, 0

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            with suppress(OSError):  # every acknowledged line is on disk already
                if self._num_waiting:
                    sync_data(handle)
            with suppress(OSError):
                os.close(handle)


class LocalLock:
    """A `flock` on a file that names its holder.

    The file stays when the lock is released. If it were removed, two processes could lock two files of the
    same name.
    """

    def __init__(self, path: Path, subject: str, holder: Mapping[str, object], wait_s: float) -> None:
        with explained("lock", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._acquire(path, subject, time.monotonic() + wait_s)
            with explained("write", path):
                os.ftruncate(self._handle, 0)
                os.pwrite(self._handle, json.dumps(holder).encode(), 0)
        except BaseException:  # an interrupt too
            os.close(self._handle)
            raise

    def _acquire(self, path: Path, subject: str, deadline: float) -> None:
        while True:
            try:
                with explained("lock", path, unless=BlockingIOError):
                    fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    holder = describe_holder(_read_holder(os.pread(self._handle, 4096, 0)))
                    raise StoreLockedError(
                        f"{subject} is being written by {holder} (lock: {path}). A study has one living"
                        " writer: wait for it or end it, or write under another name with --name"
                    ) from error
            time.sleep(LOCK_POLL_S)

    def release(self) -> None:
        if self._handle >= 0:
            with suppress(OSError):  # the holder's name is only for messages; closing ends the lock
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1


@contextmanager
def explained(action: str, path: Path, *, unless: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Turn an error of the disk into a `StoreError` with the way out."""
    try:
        yield
    except unless:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        kind = StoreMissingError if error.errno in NOT_A_FOLDER else StoreError  # a file is in the way
        raise kind(f"could not {action} {str(path)!r}: {reason}{_way_out(error)}") from error


def _way_out(error: OSError) -> str:
    if error.errno in FULL:
        return ". Every acknowledged row is safe: free some space and run the same command again"
    if error.errno in READ_ONLY:
        return ". The store of a run must be writable: change the permissions, or choose another with --store"
    if error.errno in NOT_A_FOLDER:
        return ". A store is a folder, and a file is in its way: choose another place with --store"
    return ""


def _read_holder(text: bytes) -> Mapping[str, object]:
    try:
        return parse_object(text)
    except InvalidValueError:
        return {}


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
