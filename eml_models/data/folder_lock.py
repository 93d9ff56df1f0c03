"""One process at a time in a folder: the workers of a node must not fetch a data set over each other.

Holds between the processes of a machine, and between machines where the folder is a network one with working
`flock`. The kernel frees the lock when its process dies, however it dies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_at_a_time(folder: Path, name: str) -> Iterator[None]:
    """Wait until no other process is inside for this folder and name (not on Windows, without `fcntl`)."""
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
        os.close(handle)  # the file stays: removing it would let two processes lock two files of one name
