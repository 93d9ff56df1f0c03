"""Writes a file so that it appears whole or not at all. Called by all that writes networks and snapshots."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write under another name in the same folder, sync, rename; an earlier file is replaced only then.

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
        temporary.replace(path)
    except BaseException:  # whatever ends it, no half file stays
        temporary.unlink(missing_ok=True)
        raise
