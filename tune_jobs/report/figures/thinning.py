"""Fewer marks where the eye cannot tell: points at the same place of a picture are drawn once.

A study of 20,000 trials has 20,000 dots, of which most lie on others. The first of each place is kept, so
the extent and the shape of the cloud stay; how many there were is for a note. Called by the figures.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

MOST_DOTS = 600
"""Most dots of a panel."""

FINEST = 160
"""Places along the longer side before dots are joined: about two pixels of a panel."""


def thinned(
    items: Sequence[T], place: Callable[[T], tuple[float, float]], *, most: int = MOST_DOTS
) -> list[T]:
    """At most `most` of the items, in their order: one for each place that any item has.

    Args:
        place: the position of an item, in any units.
    """
    if len(items) <= most:
        return list(items)
    places = [place(item) for item in items]
    columns = [_scaled([at[axis] for at in places]) for axis in (0, 1)]
    steps = FINEST
    while True:
        seen: dict[tuple[int, int], int] = {}
        for index, (x, y) in enumerate(zip(*columns, strict=True)):
            seen.setdefault((int(x * steps), int(y * steps)), index)
        if len(seen) <= most or steps <= 2:
            return [items[index] for index in list(seen.values())[:most]]
        steps = int(steps * 0.8)


def note_of(kept: int, total: int, what: str = "trials") -> tuple[str, ...]:
    """What was left out, as a note; none if everything is drawn."""
    if kept >= total:
        return ()
    return (f"{kept:,} of {total:,} {what} are drawn: of those that lie close together one is drawn.",)


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly from the first to the last."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(index * step)] for index in range(most)]


def sampled(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, in their order, by a lot that is always the same.

    Unlike `spread` it leaves out no level of a grid, whose trials come in a period.
    """
    if len(items) <= most:
        return list(items)
    return [items[index] for index in sorted(random.Random(0).sample(range(len(items)), most))]


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    width = (high - low) or 1.0
    return [(value - low) / width for value in values]
