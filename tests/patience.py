"""How long tests wait: until it happens, with limits that grow with what else the machine does.

A limit is there to end what hangs. How busy the machine is, is no fault of the code, so no test has a number
of seconds of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

HANGS_S = 300.0
"""What takes longer on a quiet machine hangs: the longest step of any test takes a minute there."""


def slowness() -> float:
    """How many processes want each core: so many times longer than on a quiet machine things take."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def patience_s() -> float:
    """Seconds after which what has not happened hangs."""
    return HANGS_S * slowness()


def wait_until(holds: Callable[[], T], problem: str, *, period_s: float = 0.3) -> T:
    """Come back with what `holds` returns as soon as it is true; an OSError is taken for not yet.

    Args:
        period_s: the least seconds between two looks; `pause_s` makes them more where a look is dear.

    Raises:
        AssertionError: it hangs; the message is `problem`.
    """
    began = time.monotonic()
    while time.monotonic() - began < patience_s():
        looked = time.monotonic()
        with suppress(OSError):
            if found := holds():
                return found
        time.sleep(pause_s(looked, period_s=period_s))
    raise AssertionError(problem)


def pause_s(looked: float, *, period_s: float) -> float:
    """Seconds to wait after a look that began at `looked`: as long as the look took.

    What is waited for runs on the same cores as the looks.
    """
    return max(period_s, time.monotonic() - looked)
