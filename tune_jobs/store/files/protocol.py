"""The interface between the store and a file system, so that a bucket can take the place of a local disk.

Holds the interface and the choice of its implementation: `local` for a folder, `objects` for a bucket. Keys
are paths relative to the store, with ``/`` between their parts. A method that fails because of the disk or
the bucket raises `StoreError`. Called by every room of the store, and wherever a store is named by a path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

import pyarrow.fs as pafs

from eml_models.errors import InvalidValueError
from eml_models.wording import cut
from tune_jobs.errors import StoreError
from tune_jobs.store.files.file_urls import as_folder
from tune_jobs.store.files.holders import Hold


class AppendFile(Protocol):
    """A file that only grows."""

    def append(self, data: bytes, *, may_wait: bool = False, more: bool = False) -> None:
        """Add `data`; when this returns, it is on disk.

        Args:
            may_wait: for a file in a bucket, whether the disk of this machine is enough for some seconds.
            more: whether the next append follows at once and brings this data to the disk with its own.

        Raises:
            StoreError: it could not be written; what is not on disk has been taken back, if the disk allows
                it.
        """

    def close(self) -> None: ...


class Lock(Protocol):
    """A lock that ends with the process of its holder."""

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
        """Make a folder and its parents; an existing folder stays."""

    def list_names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none if there is no such folder."""

    def list_sizes(self, folder: str) -> Mapping[str, int]:
        """The files in a folder, each with its size in bytes; none if there is no such folder.

        Two equal answers say that no line was appended in between and that no file came or went. A bucket
        gives each object of an appended file, and the lines that wait on this machine's disk.
        """

    def exists(self, key: str) -> bool: ...

    def read(self, key: str) -> bytes | None:
        """All bytes of a file; None if it does not exist (it may have been removed since it was listed)."""

    def put(self, key: str, data: bytes, *, scratch: str) -> None:
        """Make a file appear whole and on disk, or not at all.

        Args:
            scratch: the folder of the unfinished file.
        """

    def remove(self, key: str) -> None:
        """Remove a file; do nothing if it does not exist."""

    def move(self, key: str, target: str) -> None:
        """Move a file; it replaces a file of the target's name."""

    def remove_aside(self, folder: str, is_own: Callable[[str], bool]) -> list[str]:
        """Remove the files with names of the store's own from a folder and from the folders in it.

        A folder that is then empty is removed too. Nothing is removed through a link.

        Returns:
            The foreign files, which stay; in words.
        """

    def require_real(self, folder: str) -> None:
        """Refuse a folder that is a link or lies behind a link; a missing folder is accepted.

        Raises:
            StoreError: there is a link; the message names it.
        """

    def sync_folder(self, key: str) -> None:
        """Make removals from a folder durable, also against a crash of the machine."""

    def exchange_folders(self, current: str, new: str, *, old: str) -> None:
        """Put folder `new` in the place of `current`, which becomes `old`: one step for all readers.

        A file system without such a step takes two. If the process is killed between them, only `old` and
        `new` exist.

        Raises:
            StoreError: this kind of store has no folders to exchange.
        """

    def open_append(self, key: str) -> AppendFile:
        """A new file to append to; when this returns, its name is on disk."""

    def lock(self, key: str, *, subject: str, holder: Mapping[str, object], wait_s: float = 0.0) -> Lock:
        """Lock a file and write `holder` into it.

        Raises:
            StoreLockedError: another process still holds it after `wait_s` seconds; the message names
                `subject` and the holder.
        """

    def read_lock(self, key: str) -> Hold | None:
        """Who holds a lock, without taking or disturbing it; None if it is free."""

    def arrow(self) -> pafs.FileSystem:
        """The same files for pyarrow, which only reads them."""


def is_url(store: str) -> bool:
    """Whether a store is in a bucket (``s3://bucket/prefix``) and not in a folder (also ``file:///...``)."""
    return "://" in as_folder(store)


def absolute(store: str) -> str:
    """The store's absolute path, or its URL."""
    store = as_folder(store)
    return store if is_url(store) else os.path.abspath(store)


def require_lasting_store(store: str) -> None:
    """Refuse a relative store, because the working folder of a job is removed with the job.

    Raises:
        InvalidValueError: the path is relative.
    """
    if not is_url(store) and not os.path.isabs(as_folder(store)):
        raise InvalidValueError(
            f"the store {store!r} is a relative path, and the working folder of a job is removed with the"
            " job; name a folder that every node sees, or a bucket: --store /shared/trials or"
            " --store s3://bucket/trials"
        )


def is_same_store(one: str, other: str) -> bool:
    """Whether two texts name the same store, though their slashes, links or relative parts differ."""
    one, other = as_folder(one), as_folder(other)
    if is_url(one) or is_url(other):
        return one.rstrip("/") == other.rstrip("/")
    return os.path.realpath(one) == os.path.realpath(other)


def open_files(store: str | os.PathLike[str] | Files) -> Files:
    """The files of a store at a path or URL; an object that is `Files` already is returned unchanged.

    Raises:
        InvalidValueError: it is neither a path nor `Files`, or a file URL names no folder of this machine.
        StoreError: the path is empty, the URL's scheme is not supported, or credentials are missing.
    """
    from tune_jobs.store.files.local import LocalFiles

    if not isinstance(store, str | os.PathLike):
        if not hasattr(store, "describe"):
            raise InvalidValueError(f"a store is a folder, as a text or a path, or a URL, got {cut(store)}")
        return store
    text = as_folder(os.fspath(store))
    if is_url(text):
        from tune_jobs.store.files.objects import ObjectFiles

        return ObjectFiles(text)
    if not text:
        raise StoreError("a store is a folder or a bucket, got an empty path; name one with --store")
    return LocalFiles(text)
