"""The store's files in a bucket: S3, Google Cloud Storage, or another kind that fsspec supports.

Implements `protocol.Files`. A bucket has no append, no rename and no lock, so:

* A file is put in one request from memory; readers see it whole or not at all.
* An appended file is a series of objects ``KEY.000000``, ``KEY.000001``, ... Lines on which the search
  depends (starts, decisions, ends) are put at once, with all lines before them. Other lines wait in a file on
  this machine's disk. They are put with the next line that may not wait, or published with their batch (after
  30 s). A killed driver loses nothing; if the driver's machine is lost, at most the waiting lines are lost.
  Waiting lines count only while the bucket still has all objects before them and none after: if another
  machine has continued the study, they are void. The first object is removed first. Without it the file does
  not exist, so no reader takes some of the objects for all of them.
* A lock is a lease (`lease`). A holder that cannot renew it stops writing before another process can take it.

Called through `protocol.open_files`; `bucket_blobs` uses `open_file_system`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from tune_jobs.errors import StoreError
from tune_jobs.store.files.holders import Hold
from tune_jobs.store.files.lease import LEASE_S, Lease, read_lease
from tune_jobs.store.files.local import sync_data
from tune_jobs.store.files.real_folders import not_ours

CACHE_VARIABLE = "TUNE_JOBS_CACHE"
PART = re.compile(r"(.*)\.([0-9]{6})")
PACKAGES = {"s3": "tune-jobs[s3]", "s3a": "tune-jobs[s3]", "gs": "gcsfs", "gcs": "gcsfs"}
"""The package to install for a URL's scheme."""


class ObjectFiles:
    """The files of a store under a URL such as ``s3://bucket/prefix``.

    Args:
        url: with a scheme that fsspec knows; its file system finds the credentials.
        lease_s: seconds without a sign of life after which the holder of a lock counts as dead.
    """

    has_folders = False

    def __init__(self, url: str, *, lease_s: float = LEASE_S) -> None:
        self.url = url.rstrip("/")
        self._fs, self._root = open_file_system(self.url)
        self._lease_s = lease_s
        self._leases: list[Lease] = []
        digest = hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest()
        self._waiting_folder = cache_folder() / digest

    def describe(self, key: str) -> str:
        return f"{self.url}/{key}".rstrip("/")

    def make_folder(self, key: str) -> None:
        """Do nothing: a bucket has keys, and no folders."""

    def list_names(self, folder: str) -> list[str]:
        with self._explained("list", folder):
            try:
                paths = self._fs.ls(self._path(folder), detail=False, refresh=True)
            except FileNotFoundError:
                return []
        names = {path.rstrip("/").rpartition("/")[2] for path in paths}
        return sorted({_without_part(name) for name in names if name})

    def list_sizes(self, folder: str) -> Mapping[str, int]:
        with self._explained("list", folder):
            try:
                found = self._fs.ls(self._path(folder), detail=True, refresh=True)
            except FileNotFoundError:
                return {}
        sizes = {entry["name"].rstrip("/").rpartition("/")[2]: entry["size"] or 0 for entry in found}
        for path in self._waiting_files(f"{folder}/*"):
            with suppress(FileNotFoundError):
                sizes[str(path)] = path.stat().st_size
        return sizes

    def exists(self, key: str) -> bool:
        with self._explained("look for", key):
            path = self._path(key)
            return bool(self._fs.exists(path) or self._fs.exists(f"{path}.{0:06d}"))

    def read(self, key: str) -> bytes | None:
        with self._explained("read", key):
            try:
                return bytes(self._fs.cat_file(self._path(key)))
            except FileNotFoundError:
                return self._read_appended(key)

    def put(self, key: str, data: bytes, *, scratch: str) -> None:
        self._check_leases()
        with self._explained("write", key):
            self._fs.pipe_file(self._path(key), data)
        self._check_leases()  # a slow request may end after a successor has taken the lock

    def remove(self, key: str) -> None:
        self._check_leases()
        parts = self._parts(key)
        with self._explained("remove", key):
            for one in parts or [key]:
                with suppress(FileNotFoundError):
                    self._fs.rm_file(self._path(one))
        for path in self._waiting_files(key) if parts else ():
            path.unlink(missing_ok=True)

    def remove_aside(self, folder: str, is_own: Callable[[str], bool]) -> list[str]:
        self._check_leases()
        foreign = []
        with self._explained("remove", folder):
            for path in self._fs.find(self._path(folder)):
                if is_own(path.rpartition("/")[2]):
                    with suppress(FileNotFoundError):
                        self._fs.rm_file(path)
                else:
                    foreign.append(not_ours(path))
        return foreign

    def require_real(self, folder: str) -> None:
        """Do nothing: a bucket has no links."""

    def sync_folder(self, key: str) -> None:
        """Do nothing: a removal in a bucket is durable."""

    def exchange_folders(self, current: str, new: str, *, old: str) -> None:
        raise StoreError(f"{self.url!r} is a bucket, where no step exchanges folders")

    def move(self, key: str, target: str) -> None:
        self.put(target, self.read(key) or b"", scratch="")
        self.remove(key)

    def open_append(self, key: str) -> ObjectAppendFile:
        return ObjectAppendFile(self, key)

    def lock(self, key: str, *, subject: str, holder: Mapping[str, object], wait_s: float = 0.0) -> Lease:
        with self._explained("lock", key):
            lease = Lease(
                self._fs,
                self._path(key),
                subject=subject,
                holder=holder,
                wait_s=wait_s,
                lease_s=self._lease_s,
            )
        self._leases.append(lease)
        return lease

    def read_lock(self, key: str) -> Hold | None:
        with self._explained("read", key):
            return read_lease(self._fs, self._path(key), lease_s=self._lease_s)

    def arrow(self) -> pafs.FileSystem:
        return pafs.SubTreeFileSystem(self._root, pafs.PyFileSystem(pafs.FSSpecHandler(self._fs)))

    def put_part(self, key: str, number: int, data: bytes) -> None:
        """Put the next object of an appended file."""
        self.put(f"{key}.{number:06d}", data, scratch="")

    def waiting_file(self, key: str, number: int) -> Path:
        """The file on this machine's disk for lines that follow the first `number` objects of a file."""
        return self._waiting_folder / f"{key.replace('/', '+')}.{number:06d}"

    def _read_appended(self, key: str) -> bytes | None:
        waiting = self._read_waiting(key)  # before the bucket: lines leave the disk once they are in it
        parts = self._parts(key)
        if f"{key}.{0:06d}" not in parts:
            return None  # it never existed, or is being removed
        data = b""
        for part in parts:
            with self._explained("read", part):
                try:
                    data += self._fs.cat_file(self._path(part))
                except FileNotFoundError:
                    return None  # its writer has just published it
        return data + waiting.get(self.waiting_file(key, len(parts)), b"")

    def _read_waiting(self, key: str) -> dict[Path, bytes]:
        """All lines of an appended file that wait on this machine's disk, void lines too."""
        found = {}
        for path in self._waiting_files(key):
            with suppress(FileNotFoundError):
                found[path] = path.read_bytes()
        return found

    def _parts(self, key: str) -> list[str]:
        folder, _, name = key.rpartition("/")
        with self._explained("list", folder):
            try:
                paths = self._fs.ls(self._path(folder), detail=False, refresh=True)
            except FileNotFoundError:
                return []
        names = (path.rpartition("/")[2] for path in paths)
        return sorted(f"{folder}/{n}" for n in names if _without_part(n) == name and n != name)

    def _waiting_files(self, key: str) -> list[Path]:
        return list(self._waiting_folder.glob(f"{key.replace('/', '+')}.*"))

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}".rstrip("/")

    def _check_leases(self) -> None:
        for lease in self._leases:
            lease.check()

    @contextmanager
    def _explained(self, action: str, key: str) -> Iterator[None]:
        with explained(f"could not {action} {self.describe(key)!r}"):
            yield


class ObjectAppendFile:
    """A file of a bucket that only grows; lines that may wait are kept on this machine's disk."""

    def __init__(self, files: ObjectFiles, key: str) -> None:
        self._files, self._key = files, key
        self._num_parts = 0
        self._waiting = b""

    def append(self, data: bytes, *, may_wait: bool = False, more: bool = False) -> None:
        """Add a line; when this returns, it is in the bucket, or on the disk if it may wait.

        The first line never waits, so that other machines see the file.
        """
        if may_wait and self._num_parts:
            self._keep(data)
            return
        self._files.put_part(self._key, self._num_parts, self._waiting + data)
        kept = self._files.waiting_file(self._key, self._num_parts)
        self._num_parts += 1
        if self._waiting:
            kept.unlink(missing_ok=True)
        self._waiting = b""

    def close(self) -> None:
        """Do nothing: waiting lines are published with their batch, or by this machine's next writer."""

    def _keep(self, data: bytes) -> None:
        path = self._files.waiting_file(self._key, self._num_parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as handle:
                handle.write(data)
                handle.flush()
                sync_data(handle.fileno())
        except OSError as error:
            raise StoreError(
                f"could not write {str(path)!r}: {error}; name a writable folder with {CACHE_VARIABLE}"
            ) from error
        self._waiting += data


def open_file_system(url: str) -> tuple[Any, str]:
    """The file system of fsspec for a URL, without caches, and the path in it.

    Raises:
        StoreError: fsspec does not know the scheme, or a package is not installed.
    """
    import fsspec

    scheme = url.partition("://")[0]
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except (ValueError, ImportError) as error:
        package = PACKAGES.get(scheme)
        way_out = f"run pip install '{package}'" if package else "name a folder, s3://... or gs://..."
        raise StoreError(f"a store at {url!r} cannot be opened: {error}; {way_out}") from error
    with explained(f"a store at {url!r} cannot be opened"):
        options = {"use_listings_cache": False, "skip_instance_cache": True}
        return kind(**options), kind._strip_protocol(url)


def cache_folder() -> Path:
    """The folder of waiting lines on this machine: ``TUNE_JOBS_CACHE``, else in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get(CACHE_VARIABLE) or Path(base) / "tune-jobs")


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an error of a bucket into a `StoreError` with the way out."""
    try:
        yield
    except (StoreError, KeyboardInterrupt):
        raise
    except FileNotFoundError as error:
        raise StoreError(f"{what}: {error}. Make the bucket, or name another with --store") from error
    except PermissionError as error:
        raise StoreError(f"{what}: {error}. Check the credentials and their rights") from error
    except Exception as error:  # the file systems behind fsspec share no base class of their errors
        raise StoreError(f"{what}: {type(error).__name__}: {error}") from error


def _without_part(name: str) -> str:
    match = PART.fullmatch(name)
    return match[1] if match else name
