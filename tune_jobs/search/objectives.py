"""The values of a study's objectives, from the metrics of a report and the cost of the network.

Pure functions; the values have the order of the study's objectives. `history` calls them for each row.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence

from tune_jobs.feasible.cost import NetworkCost
from tune_jobs.study.definition import Study
from tune_jobs.study.json_fields import objectives_from_json
from tune_jobs.study.objective import COSTS, Objective
from tune_jobs.study.rows import State, TrialRow

Point = tuple[float, ...]
"""A value for each objective of a study."""


def point_of(study: Study, metrics: Mapping[str, float | None], cost: NetworkCost | None) -> Point | None:
    """The values after an epoch; None if a value is missing or not finite.

    Args:
        metrics: the metrics of the report, by name.
        cost: the cost of the network; needed only if an objective is a cost.
    """
    values = [
        getattr(cost, objective.metric) if objective.is_cost else metrics.get(objective.metric)
        for objective in study.objectives
    ]
    return _as_point(values)


def metrics_first(study: Study, costs: Container[str]) -> list[int]:
    """The places of the study's objectives, those that training reports before the costs.

    Args:
        costs: the names of the costs of own training.
    """
    places = range(len(study.objectives))
    is_cost = [objective.is_cost or objective.metric in costs for objective in study.objectives]
    return sorted(places, key=lambda place: is_cost[place])


def final_point(study: Study, end: TrialRow) -> Point | None:
    """The values at the last epoch of a trial that completed or was stopped; None if a value is missing."""
    return point_at_end(study.objectives, end)


def point_at_end(objectives: Sequence[Objective], end: TrialRow) -> Point | None:
    """What `final_point` returns, where the objectives alone are known."""
    if end.state not in (State.COMPLETED, State.STOPPED):
        return None
    stored = objectives_from_json(end.objectives)
    values = [
        getattr(end, objective.metric) if objective.is_cost else stored.get(objective.metric)
        for objective in objectives
    ]
    return _as_point(values)


def cost_of(end: TrialRow | None) -> NetworkCost | None:
    """The cost of an ended trial's network, from its row; None if the row lacks it."""
    if end is None:
        return None
    costs = {name: getattr(end, name) for name in COSTS}
    return None if None in costs.values() else NetworkCost(**costs)


def _as_point(values: list[float | None]) -> Point | None:
    numbers = [float(value) for value in values if value is not None and math.isfinite(value)]
    return tuple(numbers) if len(numbers) == len(values) else None
