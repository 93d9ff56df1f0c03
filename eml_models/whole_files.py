"""Writes a file so that it appears whole or not at all. Called by the writers of networks, snapshots
and logs."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO


def write_whole(
    path: str | os.PathLike[str],
    content: bytes | memoryview,
    *,
    earlier_to: str | os.PathLike[str] | None = None,
    durable: bool = True,
) -> None:
    """Write a temporary file in the same folder, sync it, and rename it; only then replace an earlier file.

    Args:
        earlier_to: a new name for an earlier file, given once the new file is written; None to replace it.
            If the process is killed between the two renames, only the earlier file is there, under that
            name.
        durable: whether the file must survive a crash of the machine. Without it nothing waits for the disk.

    Raises:
        OSError: the file could not be written.
    """
    write_whole_by(path, lambda file: file.write(content), earlier_to=earlier_to, durable=durable)


def write_whole_by(
    path: str | os.PathLike[str],
    write: Callable[[IO[bytes]], object],
    *,
    earlier_to: str | os.PathLike[str] | None = None,
    durable: bool = True,
) -> None:
    """Write a file as `write_whole` does, by a function that puts the content into it part by part.

    Raises:
        OSError: the file could not be written, or a device or pipe has its name.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():  # a rename would replace /dev/null too
        raise FileExistsError(errno.EEXIST, "this is no plain file, and a file would replace it", str(path))
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if earlier_to is not None:
            with suppress(FileNotFoundError):
                path.replace(earlier_to)
        temporary.replace(path)
    except BaseException:  # any error, an interrupt too, must leave no partial file
        temporary.unlink(missing_ok=True)
        raise
