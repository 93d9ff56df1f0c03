"""Comparisons by several objectives: fronts, the order of points, and the hypervolume of a front.

Pure functions of points (a value for each objective). `asha` ranks the trials of a rung with them,
`optuna_view` the stopped trials, and `tune_jobs.report` draws fronts. Dominance and hypervolume come from
moocore. The order within a front is our own code: it scales the objectives, and equal points share a place,
so that it depends on the values alone. syne-tune's epsilon net, which orders fronts too, does neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import NDArray

from tune_jobs.search.objectives import Point
from tune_jobs.study.objective import Direction, Objective

Array = NDArray[np.float64]

HUGE = 2.0**1000
"""The size from which the difference of two values may be infinite."""


def non_dominated(points: Sequence[Point], directions: Sequence[Direction]) -> list[int]:
    """The indices of the points that no other beats: no other is as good in all objectives and better in one.

    Equal points do not beat each other.
    """
    return [index for index, front in enumerate(front_numbers(points, directions)) if front == 1]


def front_numbers(points: Sequence[Point], directions: Sequence[Direction]) -> list[int]:
    """The front of each point: 1 if no point beats it, 2 if only points of front 1 beat it, and so on.

    Source: Deb et al. 2002, IEEE Transactions on Evolutionary Computation 6(2), non-dominated sorting.
    """
    if not points:
        return []
    return [int(rank) + 1 for rank in moocore.pareto_rank(_losses(points, directions))]


def standings(points: Sequence[Point], objectives: Sequence[Objective]) -> list[int]:
    """The place of each point, 1 for the best; equal points share a place.

    The points of a front come before those of the next. Within a front the best point in the first objective
    comes first, then always the point that is farthest from the points before it, so that the first k are
    spread over the front. For distances each objective, or the
    logarithm of a cost, is scaled to the front's range.

    Source: MO-ASHA, Schmucker et al. 2021, arXiv 2106.12639, with the epsilon-net order of Salinas et al.
    2021, arXiv 2106.05680, algorithm 1 (which begins with any point, and does not scale).
    """
    if not points:
        return []
    losses = _losses(points, [objective.direction for objective in objectives])
    distinct, group, counts = np.unique(losses, axis=0, return_inverse=True, return_counts=True)
    ranks = moocore.pareto_rank(distinct)
    places = np.empty(len(distinct), dtype=np.int64)
    place = 1
    for rank in range(int(ranks.max()) + 1):
        members = np.flatnonzero(ranks == rank)
        for index in members[_spread(_scaled(distinct[members], objectives))]:
            places[index] = place
            place += int(counts[index])
    return [int(value) for value in places[group.reshape(-1)]]


def hypervolume(
    points: Sequence[Point], directions: Sequence[Direction], *, ideal: Point, reference: Point
) -> float:
    """The share that the points beat of the box between `reference` (the worst that counts) and `ideal`.

    In [0, 1], more is better. A point that is worse than the reference in any objective adds nothing.
    Source: Zitzler and Thiele 1999, IEEE Transactions on Evolutionary Computation 3(4).
    """
    if not points:
        return 0.0
    best, worst, *losses = _small(_losses([ideal, reference, *points], directions))
    scaled = (np.asarray(losses) - best) / (worst - best)
    return float(moocore.hypervolume(np.maximum(scaled, 0.0), ref=np.ones(len(best))))


def _losses(points: Sequence[Point], directions: Sequence[Direction]) -> Array:
    """The points as rows of numbers, with each sign such that less is better."""
    return np.asarray(points, dtype=np.float64) * [direction.sign for direction in directions]


def _small(losses: Array) -> Array:
    """The losses so that differences are finite: an objective near the largest float is scaled, exactly."""
    huge = np.abs(losses).max(axis=0) > HUGE
    return np.asarray(losses * np.where(huge, 0.25, 1.0), dtype=np.float64)


def _scaled(losses: Array, objectives: Sequence[Objective]) -> Array:
    """Each objective in [0, 1] over these points; a cost by its logarithm, since costs differ by factors."""
    scaled: Array = losses.copy()
    for column, objective in enumerate(objectives):
        if objective.is_cost:
            scaled[:, column] = np.log(np.maximum(scaled[:, column], 1.0))
    scaled = _small(scaled)
    low = scaled.min(axis=0)
    extent = scaled.max(axis=0) - low
    return np.asarray((scaled - low) / np.where(extent > 0, extent, 1.0), dtype=np.float64)


def _spread(points: Array) -> list[int]:
    """All indices: the best in the first objective, then always the point farthest from those before it.

    Of equally far points the earlier comes first. The points are sorted, so that their values alone decide.
    """
    chosen = [0]  # sorted by the first objective, less is better
    nearest = np.full(len(points), np.inf)
    for _ in range(len(points) - 1):
        distances = ((points - points[chosen[-1]]) ** 2).sum(axis=1)
        nearest = np.minimum(nearest, distances)
        nearest[chosen[-1]] = -1.0
        chosen.append(int(nearest.argmax()))
    return chosen
