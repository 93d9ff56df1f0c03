"""Removes files that the store made itself, in real folders only: no link below a store is followed.

A folder is opened part by part, beginning at the store, so that no link can be put in between meanwhile. A
file without a name of the store's own stays and is named, and so does a file that the disk refuses to remove.
Only the path to the store itself may have links, since the user chose it. Called by `local` for the tables,
and by `checkpoints`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_FOLDER = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})

IS_LINK = (
    "is a link, and no link below a store is followed: put the folder itself in its place, or remove the link"
)


class NotRealFolderError(OSError):
    """A link or a file is where the store expects a folder."""

    def __str__(self) -> str:
        return f"{self.filename} {self.strerror}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The outcome of a removal.

    Attributes:
        num_files: the number of removed files.
        foreign: files that are not the store's own and stay; in words, with their paths.
        failed: the store's own files that could not be removed, with the reasons.
    """

    num_files: int = 0
    foreign: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def __add__(self, other: Removal) -> Removal:
        return Removal(
            num_files=self.num_files + other.num_files,
            foreign=self.foreign + other.foreign,
            failed=self.failed + other.failed,
        )


@contextmanager
def real_folder(base: Path, key: str, *, make: bool = False) -> Iterator[int]:
    """A handle of the folder `key` (``a/b``) below `base`, for the ``dir_fd`` of `os`.

    Args:
        make: whether to make missing folders.

    Raises:
        FileNotFoundError: the folder does not exist.
        NotRealFolderError: a part of the path is a link or a file; the message names it.
    """
    if make:
        base.mkdir(parents=True, exist_ok=True)
    handle, path = os.open(base, _FOLDER), base
    try:
        for part in filter(None, key.split("/")):
            path = path / part
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=handle)
            below = _open_below(handle, part, path)
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def require_real(base: Path, key: str) -> None:
    """Refuse a folder that is a link or lies behind a link; a missing folder is accepted.

    Raises:
        NotRealFolderError: there is a link; the message names it.
    """
    with suppress(FileNotFoundError), real_folder(base, key):
        pass


def list_real(base: Path, key: str) -> list[tuple[str, os.stat_result]]:
    """The names in a folder, sorted, each with its own state (of a link, not of its target).

    The list is empty if there is no such folder.

    Raises:
        NotRealFolderError: a part of the path is a link or a file.
        OSError: the folder cannot be listed.
    """
    found = []
    with suppress(FileNotFoundError), real_folder(base, key) as handle:
        for name in sorted(os.listdir(handle)):
            with suppress(FileNotFoundError):  # another process may have removed it meanwhile
                found.append((name, os.stat(name, dir_fd=handle, follow_symlinks=False)))
    return found


def remove_own(base: Path, key: str, is_own: Callable[[str], bool], *, also_folder: bool = True) -> Removal:
    """Remove a folder's real files with names of the store's own, and the folder if it is then empty.

    Args:
        also_folder: whether an empty folder is removed.
    """
    path, num_files = base / key, 0
    foreign: list[str] = []
    failed: list[str] = []
    try:
        with real_folder(base, key) as handle:
            for name in sorted(os.listdir(handle)):
                if not (_is_file(handle, name) and is_own(name)):
                    foreign.append(not_ours(path / name))
                    continue
                try:
                    os.unlink(name, dir_fd=handle)
                    num_files += 1
                except FileNotFoundError:
                    pass
                except OSError as error:
                    failed.append(f"{path / name}: {error.strerror}")
        if also_folder:
            remove_if_empty(base, key)
    except FileNotFoundError:
        pass
    except NotRealFolderError as error:
        foreign.append(str(error))
    except OSError as error:
        failed.append(f"{path}: {error.strerror}")
    return Removal(num_files=num_files, foreign=tuple(foreign), failed=tuple(failed))


def not_ours(path: object) -> str:
    """The message about a foreign file or folder."""
    return f"{path} was not made by this store"


def remove_if_empty(base: Path, key: str) -> None:
    """Remove a real folder if it is empty."""
    above, _, name = key.rpartition("/")
    try:
        with real_folder(base, above) as handle:
            os.rmdir(name, dir_fd=handle)
    except (FileNotFoundError, NotRealFolderError, NotADirectoryError):
        pass
    except OSError as error:
        if error.errno not in _NOT_EMPTY | {errno.EBUSY, errno.EACCES, errno.EPERM, errno.EROFS}:
            raise


def _open_below(handle: int, part: str, path: Path) -> int:
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
        is_link = stat.S_ISLNK(os.stat(part, dir_fd=handle, follow_symlinks=False).st_mode)
        reason = IS_LINK if is_link else "is no folder, and a folder belongs in its place: move it away"
        raise NotRealFolderError(errno.ENOTDIR, reason, str(path)) from error


def _is_file(handle: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
