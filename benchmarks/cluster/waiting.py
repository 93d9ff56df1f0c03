"""Waits for what another process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_for(look: Callable[[], Found], what: str, *, seconds: float = 300.0, every: float = 2.0) -> Found:
    """The first result of `look` that is true.

    Raises:
        TimeoutError: there was none in that time; names `what`, and the last result.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s; the last answer was {found!r}")
        time.sleep(every)
    return found
