"""A folder that own training saves, as an archive of bytes and back: what is packed can be unpacked.

Files, folders and links that stay inside are kept. Everything else is refused when it is saved, and not when
a later attempt needs it: links that lead outside, pipes, sockets, devices, and files that cannot be read or
that change meanwhile. Called by `trial_run` and `saved_state`. torch is imported inside the functions.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError

MAX_DEPTH = 100
"""Folders within folders. Python removes a folder by recursion, so much deeper ones could not be removed."""

MAX_PATH_BYTES = 2000
"""Bytes of a path within the folder; Linux opens paths of 4,095 bytes, and the folder to unpack into has a
path too."""

PAUSES_S = (0.0, 0.1, 0.5)
"""Seconds before each try to read a folder that does not change meanwhile."""

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class ChangedError(Exception):
    """Something in the folder changed while it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, a folder or a link in the folder, as it is now.

    Attributes:
        name: its path within the folder.
        link: the target of a link, relative to the place of the link; None for anything else.
    """

    name: str
    mode: int
    size: int
    mtime_ns: int
    link: str | None = None


def packed(folder: str | os.PathLike[str]) -> Any:
    """An archive of a folder, as a tensor of bytes.

    Raises:
        InvalidValueError: there is no such folder, or it holds what cannot be kept; the message names the
            path.
    """
    import torch

    root = _root_of(folder)
    problem = ""
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        try:
            return torch.frombuffer(_archive(root), dtype=torch.uint8)
        except ChangedError as error:
            problem = str(error)
    raise InvalidValueError(
        f"run.save_folder takes a folder that nothing writes to, got {str(folder)!r}, in which {problem!r}"
        " changed while it was read; save it when its writer has finished, or save a copy"
    )


def unpack(archive: Any, target: Path) -> None:
    """Write the files of a packed folder under `target`; nothing is written outside of it."""
    with tarfile.open(fileobj=io.BytesIO(archive.numpy().tobytes())) as files:
        files.extractall(target, filter="data")


def _root_of(folder: str | os.PathLike[str]) -> str:
    if not isinstance(folder, str | os.PathLike) or not os.path.isdir(folder):
        shown = os.fspath(folder) if isinstance(folder, os.PathLike) else folder
        raise InvalidValueError(f"run.save_folder takes a folder that exists, got {shown!r}")
    return os.path.realpath(folder)


def _archive(root: str) -> bytearray:
    """The archive of a folder that is the same before and after it was read."""
    entries = list(_iter_entries(root))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for entry in entries:
            archive.addfile(*_member(root, entry))
    for before, now in zip(entries, after := list(_iter_entries(root)), strict=False):
        if before != now:
            raise ChangedError(min(before.name, now.name))
    if len(entries) != len(after):
        raise ChangedError(max(entries, after, key=len)[min(len(entries), len(after))].name)
    return bytearray(content.getbuffer())


def _iter_entries(root: str) -> Iterator[Entry]:
    """What is in a folder, a folder before its content, by name."""
    left = [""]
    while left:
        name = left.pop()
        with _explained(name):
            found = os.lstat(os.path.join(root, name))
            yield _entry(root, name, found)
            if stat.S_ISDIR(found.st_mode):
                inner = sorted(os.listdir(os.path.join(root, name)), reverse=True)
                left += [os.path.join(name, each) for each in inner]


def _entry(root: str, name: str, found: os.stat_result) -> Entry:
    if name.count(os.sep) >= MAX_DEPTH or len(os.fsencode(name)) > MAX_PATH_BYTES:
        raise _refused(
            name,
            f"takes at most {MAX_DEPTH} folders within each other and paths of {MAX_PATH_BYTES:,} bytes",
            "save the inner folder, or write fewer levels",
        )
    if stat.S_ISLNK(found.st_mode):
        return Entry(name=name, mode=0o777, size=0, mtime_ns=0, link=_link(root, name))
    if kind := _KINDS.get(stat.S_IFMT(found.st_mode)):
        raise _refused(name, "keeps files, folders and links", f"it is {kind}: write it to another folder")
    size = found.st_size if stat.S_ISREG(found.st_mode) else 0
    return Entry(name=name, mode=found.st_mode, size=size, mtime_ns=found.st_mtime_ns)


def _link(root: str, name: str) -> str:
    """The target of a link without other links on its way, relative to the link's own folder.

    Raises:
        InvalidValueError: it leads outside of the folder.
    """
    place = os.path.join(root, name)
    target = os.path.realpath(place)
    if os.path.islink(target):  # a link in a circle, as it is
        target = os.path.join(os.path.dirname(place), os.readlink(place))
    if os.path.commonpath([root, os.path.normpath(target)]) != root:
        raise _refused(
            name,
            "keeps links that stay inside the folder",
            f"it is a link to {os.readlink(place)!r}: copy its target into the folder, as"
            " shutil.copytree(folder, copy) does for all links",
        )
    return os.path.relpath(target, os.path.dirname(place))


def _member(root: str, entry: Entry) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    """A member of the archive, with the content of a file."""
    member = tarfile.TarInfo(entry.name or ".")
    member.mode, member.mtime = stat.S_IMODE(entry.mode), entry.mtime_ns / 1e9
    if entry.link is not None:
        member.type, member.linkname = tarfile.SYMTYPE, entry.link
    elif stat.S_ISDIR(entry.mode):
        member.type = tarfile.DIRTYPE
    else:
        with _explained(entry.name):
            content = Path(root, entry.name).read_bytes()
        member.size = len(content)
        return member, io.BytesIO(content)
    return member, None


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Errors of the system in our words; what has vanished was changed meanwhile."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise ChangedError(name) from None
    except OSError as error:
        why = f"{error.strerror or error}: make it readable, or write it to another folder"
        raise _refused(name, "takes what this process can read", why) from error


def _refused(name: str, rule: str, way_out: str) -> InvalidValueError:
    """An error about an entry; a name of any characters is shown in quotes."""
    shown = name if len(name) <= 200 else f"{name[:200]}..."
    return InvalidValueError(f"run.save_folder {rule}, got {shown!r}; {way_out}")
