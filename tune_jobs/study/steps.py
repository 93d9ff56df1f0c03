"""The values of a range with a step, as a sequence that computes each value when it is asked for.

A step of 1e-7 gives ten million values. A list of them takes seconds and hundreds of megabytes, and nobody
needs more than a few. Called by `space`, whose `Float` has such a grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import overload

STEP_TOLERANCE = 1e-9
"""The distance from a grid, as a share of a step, within which a number is on it (0.1 * 3 is not 0.3)."""


class Steps(Sequence[float]):
    """The values ``low``, ``low + step`` and so on, up to ``high``.

    Counts and places come from arithmetic, so every operation but a walk over all values takes constant time.
    The arithmetic is that of decimals as people write them: binary sums would give 0.30000000000000004.

    Args:
        low: the first value.
        high: no value is above it, except by a rounding error (0.7 + 0.1 is a little below 0.8, which is on
            the grid all the same).
        step: the distance of two values; above 0, and no smaller than the distance of floats near the bounds.
    """

    __slots__ = ("_low", "_size", "_step")

    def __init__(self, low: float, high: float, *, step: float) -> None:
        self._low, self._step = _decimal(low), _decimal(step)
        self._size = 1 + math.floor(self.place_of(high) + Decimal(str(STEP_TOLERANCE)))

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[float, ...]: ...

    def __getitem__(self, index: int | slice) -> float | tuple[float, ...]:
        if isinstance(index, slice):
            return tuple(map(self._at, range(self._size)[index]))
        return self._at(range(self._size)[index])

    def __iter__(self) -> Iterator[float]:
        return map(self._at, range(self._size))

    def __reversed__(self) -> Iterator[float]:
        return map(self._at, reversed(range(self._size)))

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and math.isfinite(value) and self.nearest(value) == value

    def nearest(self, value: float) -> float:
        """The value of the grid that is nearest to a finite number."""
        return self._at(min(max(round(self.place_of(value)), 0), self._size - 1))

    def place_of(self, value: float) -> Decimal:
        """The distance of a finite number from the first value, in steps."""
        return (_decimal(value) - self._low) / self._step

    def _at(self, place: int) -> float:
        return float(self._low + place * self._step)


def _decimal(number: float) -> Decimal:
    return Decimal(repr(float(number)))
