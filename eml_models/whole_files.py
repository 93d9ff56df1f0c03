"""Writes a file so that it appears whole or not at all. Called by all that writes networks and snapshots."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path


def write_whole(
    path: str | os.PathLike[str],
    content: bytes | memoryview,
    *,
    earlier_to: str | os.PathLike[str] | None = None,
) -> None:
    """Write under another name in the same folder, sync, rename; an earlier file is replaced only then.

    Args:
        earlier_to: the name that an earlier file gets when the new one is written; None to replace it. Killed
            in between, there is only that one.

    Raises:
        OSError: it could not be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if earlier_to is not None:
            with suppress(FileNotFoundError):
                path.replace(earlier_to)
        temporary.replace(path)
    except BaseException:  # whatever ends it, no half file stays
        temporary.unlink(missing_ok=True)
        raise
