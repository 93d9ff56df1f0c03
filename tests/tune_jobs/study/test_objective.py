"""What makes a value of an objective better."""

from __future__ import annotations

import math

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.study.objective import COSTS, METRICS, Direction, Objective


def test_less_of_a_value_with_its_sign_is_better() -> None:
    assert {direction: direction.sign for direction in Direction} == {"maximize": -1.0, "minimize": 1.0}


@pytest.mark.parametrize("metric", [*METRICS, *COSTS])
def test_better_is_what_the_direction_says(metric: str) -> None:
    objective = Objective(metric=metric)
    rising = objective.direction is Direction.MAXIMIZE
    assert objective.is_better(0.2, 0.1) is rising
    assert objective.is_better(0.1, 0.2) is not rising
    for equal in (0.0, 0.1, -math.inf, math.inf):
        assert not objective.is_better(equal, equal)
    assert not objective.is_better(math.nan, 0.1)


def test_unknown_objective_lists_the_known() -> None:
    with pytest.raises(InvalidValueError, match="parameters"):
        Objective(metric="params")
