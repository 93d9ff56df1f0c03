"""The values of a study's objectives, from what a report says and what the network's plan costs.

Pure functions; the order is that of the study's objectives. `history` calls them for each row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tune_jobs.feasible.cost import NetworkCost
from tune_jobs.study.definition import Study
from tune_jobs.study.json_fields import objectives_from_json
from tune_jobs.study.objective import COSTS
from tune_jobs.study.rows import State, TrialRow

Point = tuple[float, ...]
"""A value for each objective of a study."""


def point_of(study: Study, metrics: Mapping[str, float | None], cost: NetworkCost | None) -> Point | None:
    """The values after an epoch; None if one is missing or not finite.

    Args:
        metrics: of the report, by name.
        cost: of the network; needed only where an objective is a cost.
    """
    values = [
        getattr(cost, objective.metric) if objective.is_cost else metrics.get(objective.metric)
        for objective in study.objectives
    ]
    return _as_point(values)


def final_point(study: Study, end: TrialRow) -> Point | None:
    """The values at the last epoch of a trial that completed or was stopped; None if it lacks one."""
    if end.state not in (State.COMPLETED, State.STOPPED):
        return None
    stored = objectives_from_json(end.objectives)
    values = [
        getattr(end, objective.metric) if objective.is_cost else stored.get(objective.metric)
        for objective in study.objectives
    ]
    return _as_point(values)


def cost_of(end: TrialRow | None) -> NetworkCost | None:
    """What the network of a trial that has ended costs, if its row says so."""
    if end is None:
        return None
    costs = {name: getattr(end, name) for name in COSTS}
    return None if None in costs.values() else NetworkCost(**costs)


def _as_point(values: list[float | None]) -> Point | None:
    numbers = [float(value) for value in values if value is not None and math.isfinite(value)]
    return tuple(numbers) if len(numbers) == len(values) else None
