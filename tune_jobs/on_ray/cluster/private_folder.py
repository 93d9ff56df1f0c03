"""Folders of this process that only its user may enter, for what Ray and Tune write on this machine.

Ray makes its own folders for everybody to write (mode 0777 without the sticky bit), runs code that lies in
them, and writes to files in them again and again, through links. So they lie in one of these. It is new, with
a name that nobody knew before, in a place where nobody else can put another in its stead. A process that was
killed leaves its folders; the next start of the same user removes them, and never a living process's.

Called by `tune_jobs.on_ray.runner` and `tune_jobs.on_ray.cluster.local_ray`; imports no Ray.
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
"""How the names begin; the process's id follows, and what `tempfile.mkdtemp` makes of it."""

KEPT = "kept"
"""A file of this name in a folder says that a failed run's words name the folder."""

KEPT_S = 7 * 24 * 3600.0
"""How long such a folder stays."""

USUAL_PLACES = ("/tmp", "/var/tmp")
REMOVING_S = 5.0
"""How long a folder is tried to be removed: processes that end may still write there."""


def make_private_folder(*, below: int = 0, longest: int = 4096) -> Path:
    """A new folder that only this user may enter, in the usual place for such or in another that will do.

    Args:
        below: bytes of the longest path in the folder, counted from the folder.
        longest: bytes that this path may have.

    Raises:
        TuneJobsError: no place will do; says why of each.
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
        "no place for a folder that only this user may enter, which Ray's files need: "
        f"{'; '.join(refused)}. Name a short path to a folder of your own in TMPDIR"
    )


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Such a folder, which goes at the end."""
    folder = make_private_folder()
    try:
        yield folder
    finally:
        remove(folder)


def keep(folder: Path) -> None:
    """Have the next starts leave this folder, for `KEPT_S`."""
    with suppress(OSError):  # a full disk, most likely: of that the run itself tells
        (folder / KEPT).touch()


def remove(folder: Path) -> None:
    """Remove a folder whose processes have ended or do so now; what is left goes at the next start."""
    give_up_at = time.monotonic() + REMOVING_S
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > give_up_at:
            return
        time.sleep(0.05)


def _places() -> list[Path]:
    """Where folders may be made, without links in their paths and each once: where Ray and Python would."""
    named = [os.environ.get("RAY_TMPDIR"), *USUAL_PLACES]
    with suppress(OSError):  # Python finds none
        named.insert(1, tempfile.gettempdir())
    return list(dict.fromkeys(Path(os.path.realpath(name)) for name in named if name))


def _require_safe(place: Path) -> None:
    """Refuse a place in which somebody else could exchange what is ours.

    Who owns the file system's root is trusted, as the machine's administrator is.

    Raises:
        ValueError: others may exchange what lies there; says where.
        OSError: there is no such place.
    """
    trusted = {0, os.geteuid(), Path(place.anchor).stat().st_uid}
    for folder in (place, *place.parents):
        found = folder.stat()
        if found.st_uid not in trusted:
            raise ValueError(f"{folder} belongs to another user")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX:
            raise ValueError(f"others may write in {folder}, which has no sticky bit")


def _clear_left_over(place: Path) -> None:
    """Remove this user's folders of processes that live no more, and those that were kept for long enough."""
    for folder in place.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):  # another start was quicker
            if pid.isdecimal() and not _lives(int(pid)) and _is_ours(folder) and not _is_kept(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _make(place: Path, *, room: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
    found = folder.lstat()
    problem = None
    if found.st_mode & 0o077:
        problem = "its file system lets others into any folder"
    elif len(os.fsencode(folder)) > room:
        problem = f"its path is longer than the {room} bytes that Ray's sockets leave for a folder"
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
    """Whether it is a folder, no link to one, and this user's: names alone may be anybody's."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _is_kept(folder: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - (folder / KEPT).lstat().st_mtime < KEPT_S
    return False
