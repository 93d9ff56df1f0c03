"""Folders of this process that only its user may enter, for the files of Ray and Tune on this machine.

Ray lets every user write to its folders (mode 0777 without the sticky bit), runs code that lies in them, and
writes to files in them repeatedly, through links. So Ray's folders lie in a private folder. A private folder
is new and has a name that no other user can guess. It lies where no other user can replace it. A process that
was killed leaves its folders behind. The next start by the same user removes them, but never a folder of a
living process.

`tune_jobs.on_ray.runner` and `tune_jobs.on_ray.cluster.local_ray` call this. Does not import Ray.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tune_jobs.errors import TuneJobsError

PREFIX = "tune-jobs-"
"""The beginning of each name; the process's id and the random letters of `tempfile.mkdtemp` follow."""

KEPT = "kept"
"""A file of this name marks the folder of a failed run, whose warning names the folder."""

KEPT_S = 7 * 24 * 3600.0
"""Seconds for which such a folder stays."""

USUAL_PLACES = ("/tmp", "/var/tmp")
REMOVING_S = 5.0
"""Seconds of attempts to remove a folder: processes that are ending may still write there."""


def make_private_folder(*, below: int = 0, longest: int = 4096) -> Path:
    """A new folder that only this user may enter, in the first usual place that is safe.

    Args:
        below: bytes of the longest path in the folder, counted from the folder.
        longest: bytes that this path may have.

    Raises:
        TuneJobsError: no place is safe; gives the reason for each.
    """
    made, refused = None, []
    for place in _places():
        try:
            _require_safe(place)
            _clear_left_over(place)
            made = made or _make(place, room=longest - below)
        except (OSError, ValueError) as error:
            refused.append(f"{place}: {error}")
    if made is not None:
        return made
    raise TuneJobsError(
        "there is no place for a folder that only this user may enter, which Ray's files need:"
        f" {'; '.join(refused)}. Set TMPDIR to a folder of your own with a short path"
    )


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A private folder that is removed at the end."""
    folder = make_private_folder()
    try:
        yield folder
    finally:
        remove(folder)


def keep(folder: Path) -> None:
    """Mark this folder, so that the next starts leave it for `KEPT_S`."""
    with suppress(OSError):  # a full disk, most likely: the run itself reports that
        (folder / KEPT).touch()


def remove(folder: Path) -> None:
    """Remove a folder whose processes have ended or are ending. The next start removes the rest."""
    give_up_at = time.monotonic() + REMOVING_S
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > give_up_at:
            return
        time.sleep(0.05)


def _places() -> list[Path]:
    """The places that Ray and Python would use, each once and without links in its path."""
    named = [os.environ.get("RAY_TMPDIR"), *USUAL_PLACES]
    with suppress(OSError):  # Python finds no place
        named.insert(1, tempfile.gettempdir())
    return list(dict.fromkeys(Path(os.path.realpath(name)) for name in named if name))


def _require_safe(place: Path) -> None:
    """Refuse a place in which another user could replace our folder.

    The owner of the file system's root is trusted like the machine's administrator.

    Raises:
        ValueError: other users may replace folders there; names the folder that allows it.
        OSError: there is no such place.
    """
    trusted = {0, os.geteuid(), Path(place.anchor).stat().st_uid}
    for folder in (place, *place.parents):
        found = folder.stat()
        if found.st_uid not in trusted:
            raise ValueError(f"{folder} belongs to another user")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX:
            raise ValueError(f"other users may write in {folder}, which has no sticky bit")


def _clear_left_over(place: Path) -> None:
    """Remove this user's folders of ended processes, unless they are kept."""
    for folder in place.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):  # another start removed it first
            if pid.isdecimal() and not _lives(int(pid)) and _is_ours(folder) and not _is_kept(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _make(place: Path, *, room: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
    found = folder.lstat()
    problem = None
    if found.st_mode & 0o077:
        problem = "its file system lets other users into any folder"
    elif len(os.fsencode(folder)) > room:
        problem = f"the path of a folder there is longer than the {room} bytes that Ray's sockets allow"
    if problem:
        folder.rmdir()
        raise ValueError(problem)
    return folder


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _is_ours(folder: Path) -> bool:
    """Whether this is a folder (not a link) of this user: another user may have made it under our prefix."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _is_kept(folder: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - (folder / KEPT).lstat().st_mtime < KEPT_S
    return False
