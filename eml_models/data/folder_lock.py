"""Lets one process at a time work in a folder, so that the workers of a node download a data set once.

The lock holds between the processes of a machine. It also holds between machines if the folder is on a
network file system with working `flock`. The kernel frees the lock when its process ends for any reason.
Called by `eml_models.data.datasets`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_at_a_time(folder: Path, name: str) -> Iterator[None]:
    """Wait until no other process holds the lock of this folder and name; no lock on Windows (no `fcntl`)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(
            handle
        )  # the file stays: if it were removed, two processes could lock two files of the same name
