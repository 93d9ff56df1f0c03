"""Exchanges two paths in one step, if the operating system can: Linux and macOS.

Python's standard library has no function for it. Called by `local` when a study is compacted.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2
"""Source: rename(2) of Linux; glibc has had renameat2 since 2.28."""
RENAME_SWAP = 2
"""Source: renamex_np(2) of macOS."""
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV})


def swap_paths(one: Path, other: Path) -> bool:
    """Exchange two existing paths; returns False, and changes nothing, if the file system cannot (NFS).

    Raises:
        OSError: the exchange failed for another reason.
    """
    swap = _system_call()
    if swap is None:
        return False
    if swap(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))


@cache
def _system_call() -> Callable[[bytes, bytes], int] | None:
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        rename = getattr(library, "renamex_np", None)
        return rename and (lambda one, other: int(rename(one, other, RENAME_SWAP)))
    rename = getattr(library, "renameat2", None)
    return rename and (lambda one, other: int(rename(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)))
