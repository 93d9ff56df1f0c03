"""The range of an axis without values that are far worse than most, and the marks that stand for these.

A value beyond the range is never hidden in silence: a triangle at the edge of the axis shows that it is
there, its words and the figure's notes say how bad it is. Called by the figures of the first objective.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tune_jobs.report.column_numbers import nearest_float
from tune_jobs.report.figures.figure import Spec
from tune_jobs.report.figures.marks import TIP, layer

FAR = 4.0
"""A value that lies this many ranges of the better three quarters beyond them is not drawn to scale."""

FEW = 4
"""Fewer values have no better three quarters, so all of them are drawn to scale."""

INWARD = 5
"""Pixels by which a triangle lies inside the edge of the axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """An axis of the first objective, and the side on which values are worse.

    Attributes:
        low, high: the ends of the axis.
        sign: +1 if smaller is better, -1 if larger.
    """

    low: float
    high: float
    sign: float

    @property
    def ends(self) -> list[float]:
        """The domain of a scale."""
        return [self.low, self.high]

    @property
    def edge(self) -> float:
        """The end of the worse side, where triangles stand."""
        return self.high if self.sign > 0 else self.low

    def is_beyond(self, value: float) -> bool:
        """Whether a value is too bad for the axis; none is too good."""
        return self.sign * (value - self.edge) > 0


def range_of(values: Sequence[float], sign: float) -> Range:
    """The range of at least one value, without those that are far worse than most.

    Args:
        sign: +1 if smaller is better, -1 if larger.
    """
    ordered = sorted(sign * value for value in values)
    best, upper = ordered[0], ordered[(3 * (len(ordered) - 1)) // 4]
    end = ordered[-1]
    if len(ordered) >= FEW:
        end = min(end, upper + FAR * ((upper - best) or abs(best) or 1.0))
    low, high = sorted((sign * best, sign * end))
    pad = 0.04 * (high - low) or 0.01 * abs(high) or 0.01
    return Range(low=nearest_float(low - pad), high=nearest_float(high + pad), sign=sign)


def triangles(axis: Range, where: str, *, mark: dict[str, Any], **encoding: Any) -> Spec:
    """A layer of triangles at the edge of an axis, which point to the values beyond it.

    Args:
        where: the `kind` of the data. Their place is `axis.edge`.
        mark: colour and opacity, or nothing.
        encoding: the other channels, with `y` of the field that holds the place.
    """
    above = axis.sign > 0
    shape: dict[str, Any] = {
        "type": "point",
        "shape": "triangle-up" if above else "triangle-down",
        "filled": True,
        "size": 60,
        "yOffset": INWARD if above else -INWARD,
        **mark,
    }
    return layer(shape, where=where, description=TIP, **encoding)


def note_of_beyond(axis: Range, values: Iterable[float], *, what: str = "trial") -> tuple[str, ...]:
    """What lies beyond an axis, as a note; none if everything is within.

    Args:
        values: of the marks that are drawn.
        what: the noun of a mark.
    """
    beyond = sorted(value for value in values if axis.is_beyond(value))
    if not beyond:
        return ()
    if len(beyond) == 1:
        return (f"1 {what} far worse ({beyond[0]:.4g}) lies beyond the axis: a triangle at its edge.",)
    return (
        f"{len(beyond):,} {what}s far worse ({beyond[0]:.4g} to {beyond[-1]:.4g}) lie beyond the axis: a"
        " triangle at its edge is drawn for each.",
    )
