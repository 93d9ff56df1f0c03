"""Pareto fronts: which points no other point is better than. A pure function of values."""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.study import Direction


def non_dominated(points: Sequence[tuple[float, ...]], directions: Sequence[Direction]) -> list[int]:
    """The indices of the non-dominated points, in order.

    One point dominates another if it is at least as good in every direction and better in one; equal points
    do not dominate each other.
    """
    signs = [-1.0 if direction is Direction.MAXIMIZE else 1.0 for direction in directions]
    costs = [tuple(sign * value for sign, value in zip(signs, point, strict=True)) for point in points]
    return [
        index
        for index, cost in enumerate(costs)
        if not any(other != cost and all(o <= c for o, c in zip(other, cost, strict=True)) for other in costs)
    ]
