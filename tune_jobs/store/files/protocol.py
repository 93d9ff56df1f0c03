"""What the store asks of a file system, so that a bucket can take the local disk's place.

An interface and the choice of its implementation; `local` implements it for a folder. Keys are paths relative
to the store with ``/`` between their parts. Every method that fails for a reason of the disk raises
`StoreError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

import pyarrow.fs as pafs

from eml_models.errors import InvalidValueError
from tune_jobs.errors import StoreError


class AppendFile(Protocol):
    """A file that only grows."""

    def append(self, data: bytes, *, may_wait: bool = False) -> None:
        """Add `data`; it is on disk when this returns.

        Args:
            may_wait: the disk of this machine will do for some seconds, where the file is elsewhere.

        Raises:
            StoreError: it is not; what was written of it has been taken back where the disk allows that.
        """

    def close(self) -> None: ...


class Lock(Protocol):
    """A lock that ends with the process that holds it."""

    def release(self) -> None: ...


class Files(Protocol):
    """The files of one store.

    Attributes:
        has_folders: whether folders can be exchanged.
    """

    has_folders: bool

    def describe(self, key: str) -> str:
        """The full path of a key, for messages."""

    def make_folder(self, key: str) -> None:
        """Make a folder and its parents; one that exists stays."""

    def list_names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none if there is no such folder."""

    def exists(self, key: str) -> bool: ...

    def read(self, key: str) -> bytes | None:
        """All bytes of a file; None if there is none (it may have gone since it was listed)."""

    def put(self, key: str, data: bytes, *, scratch: str) -> None:
        """Make a file appear whole, on disk, or not at all; `scratch` is the folder where it stands until
        then."""

    def remove(self, key: str) -> None:
        """Remove a file; one that is gone already is fine."""

    def move(self, key: str, target: str) -> None:
        """Move a file, over one of the same name."""

    def remove_aside(self, folder: str, is_own: Callable[[str], bool]) -> list[str]:
        """Remove the files whose names are the store's own from a folder and from those in it.

        A folder goes too if it is then empty. Nothing is removed through a link.

        Returns:
            What is not the store's own, and stays; in words.
        """

    def require_real(self, folder: str) -> None:
        """Refuse a folder that is a link or lies behind one; one that is not there is fine.

        Raises:
            StoreError: it does; names the link.
        """

    def sync_folder(self, key: str) -> None:
        """Make what was removed from a folder stay removed, also if the machine dies."""

    def exchange_folders(self, current: str, new: str, *, old: str) -> None:
        """Put folder `new` in the place of `current`, which becomes `old`: to others in one step.

        Where the file system has no such step it takes two, and killed in between there is only `old`.

        Raises:
            StoreError: this kind of store has no folders to exchange.
        """

    def open_append(self, key: str) -> AppendFile:
        """A new file to append to; its name is on disk when this returns."""

    def lock(self, key: str, *, subject: str, holder: Mapping[str, object], wait_s: float = 0.0) -> Lock:
        """Lock a file and write `holder` into it.

        Raises:
            StoreLockedError: somebody else holds it after `wait_s`; the message names `subject` and the
                holder.
        """

    def arrow(self) -> pafs.FileSystem:
        """The same files for pyarrow, read-only by use."""


def is_url(store: str) -> bool:
    """Whether a store is in a bucket (``s3://bucket/prefix``) and not in a folder."""
    return "://" in store


def absolute(store: str) -> str:
    """The store as every working folder names it."""
    return store if is_url(store) else os.path.abspath(store)


def require_lasting_store(store: str) -> None:
    """Refuse a relative store: the folder that a job runs in goes away with it.

    Raises:
        InvalidValueError: it is relative.
    """
    if not is_url(store) and not os.path.isabs(store):
        raise InvalidValueError(
            f"the store {store!r} is relative, and the folder of a job goes away with the job; name a folder"
            " that every node sees, or a bucket: --store /shared/trials or --store s3://bucket/trials"
        )


def is_same_store(one: str, other: str) -> bool:
    """Whether two ways to write a store name one place, whatever its slashes, links and relative paths."""
    if is_url(one) or is_url(other):
        return one.rstrip("/") == other.rstrip("/")
    return os.path.realpath(one) == os.path.realpath(other)


def open_files(store: str | os.PathLike[str] | Files) -> Files:
    """The files of a store at a path; files are returned as they are.

    Raises:
        StoreError: the URL names a kind of store that is not supported, or there are no credentials.
    """
    from tune_jobs.store.files.local import LocalFiles

    if not isinstance(store, str | os.PathLike):
        return store
    text = os.fspath(store)
    if is_url(text):
        from tune_jobs.store.files.objects import ObjectFiles

        return ObjectFiles(text)
    if not text:
        raise StoreError("a store is a folder, got an empty path; give one with --store")
    return LocalFiles(text)
