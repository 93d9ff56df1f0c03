"""The early end of a campaign: its time is up, or its user asked for the end.

`processes` looks here between its requests and while it waits for an answer; `investigation` then returns
the measurements so far.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from enum import StrEnum


class End(StrEnum):
    """How a campaign came to its end."""

    FINISHED = "finished"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"


class EndedError(Exception):
    """Measuring stops here. Never seen outside of `investigation`: the end of a campaign is no failure."""


class Ending:
    """Whether a campaign is to end.

    Args:
        max_minutes: the longest time from now; None for no limit.
        interrupted: whether the user asked for the end; called ten times a second, from one thread.
    """

    def __init__(
        self,
        max_minutes: float | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._max_minutes, self._interrupted, self._clock = max_minutes, interrupted, clock
        self._began = clock()
        self._end: End | None = None

    @property
    def end(self) -> End:
        """How it is: to end, and why, from the first time on that this was so; else on its way to finish."""
        if self._end is None:
            if self._interrupted():
                self._end = End.INTERRUPTED
            elif self.left_s <= 0:
                self._end = End.TIME_LIMIT
        return self._end or End.FINISHED

    @property
    def left_s(self) -> float:
        """Seconds until the limit; infinite without one."""
        if self._max_minutes is None:
            return math.inf
        return self._began + 60 * self._max_minutes - self._clock()

    @property
    def reason(self) -> str:
        """Why it is to end, in words."""
        if self.end is End.TIME_LIMIT:
            return f"the time limit of {self._max_minutes:g} minutes was reached"
        return "the measurement was interrupted" if self.end is End.INTERRUPTED else ""

    def check(self) -> None:
        """Raise where it is to end.

        Raises:
            EndedError: it is.
        """
        if self.end is not End.FINISHED:
            raise EndedError(self.reason)
