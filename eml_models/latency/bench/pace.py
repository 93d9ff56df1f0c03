"""How far a round is, how long everything may still take, and the words for it. `bench` asks.

An estimate, from what the timings so far took: a case's first one, for which it is prepared, and the others.
Compiled cases come last and take longer than those before them, so that it rises when they begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean
from time import perf_counter


@dataclass(slots=True, kw_only=True)
class Pace:
    """Seconds that timings took."""

    firsts: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    @contextmanager
    def watch(self, *, is_first: bool) -> Iterator[None]:
        """Note how long a timing takes."""
        began = perf_counter()
        yield
        (self.firsts if is_first else self.others).append(perf_counter() - began)

    def estimate_s(self, firsts: int, others: int, *, seconds: float) -> float | None:
        """Seconds that this number of timings will take; None where nothing has been timed.

        Args:
            seconds: of timed calls in each.
        """
        if firsts and not self.firsts:
            return None
        return firsts * fmean(self.firsts or [0.0]) + others * fmean(self.others or [seconds])


def describe_left(estimate_s: float | None, limit_s: float) -> str:
    """The seconds that are left, not more than the limit leaves."""
    if estimate_s is None:
        return ""
    left_s = max(min(estimate_s, limit_s), 0.0)
    return f", about {left_s:.0f} s left" if left_s < 100 else f", about {left_s / 60:.0f} min left"
