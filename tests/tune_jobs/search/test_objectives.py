"""The values of objectives: from reports and costs, all of them or none."""

from __future__ import annotations

import math
from typing import Any

import pytest
from search_testing import end, make_study

from tune_jobs.feasible.cost import NetworkCost
from tune_jobs.search.objectives import cost_of, final_point, point_of
from tune_jobs.study.objective import COSTS, Objective
from tune_jobs.study.rows import State

STUDY = make_study(objectives=(Objective(), Objective(metric="macs"), Objective(metric="val_loss")))
COST = NetworkCost(**dict.fromkeys(COSTS, 7))
METRICS = {"val_accuracy": 0.5, "val_loss": 1.25, "train_loss": 9.0}


def test_a_point_has_the_order_of_the_objectives() -> None:
    assert point_of(STUDY, METRICS, COST) == (0.5, 7.0, 1.25)


@pytest.mark.parametrize("changes", [{"val_loss": None}, {"val_loss": math.nan}, {"val_accuracy": math.inf}])
def test_a_missing_or_non_finite_value_leaves_no_point(changes: dict[str, float | None]) -> None:
    assert point_of(STUDY, {**METRICS, **changes}, COST) is None


@pytest.mark.parametrize(
    ("state", "columns", "point"),
    [
        (State.COMPLETED, {}, (0.5, 7.0, 1.25)),
        (State.STOPPED, {}, (0.5, 7.0, 1.25)),
        (State.COMPLETED, {"macs": None}, None),
        (State.COMPLETED, {"objectives": "{}"}, None),
        (State.FAILED, {}, None),
        (State.INFEASIBLE, {}, None),
    ],
)
def test_a_trial_has_a_point_if_it_completed_or_was_stopped_with_all_values(
    state: State, columns: dict[str, Any], point: tuple[float, ...] | None
) -> None:
    given = {"objectives": '{"val_accuracy":0.5,"macs":7,"val_loss":1.25}', "macs": 7, **columns}
    assert final_point(STUDY, end(0, state, **given)) == point


def test_a_row_gives_the_cost_of_its_network_only_if_it_holds_all_of_it() -> None:
    costs = dict.fromkeys(COSTS, 7)
    assert cost_of(end(0, State.COMPLETED, **costs)) == COST
    assert cost_of(end(0, State.COMPLETED, **{**costs, COSTS[0]: None})) is None
    assert cost_of(None) is None
