"""Limits that exclude each other although the space can meet each of them."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.reach import check_reachable
from tune_jobs.feasible.together import check_together
from tune_jobs.inputs.shipped import digits_mobilenet
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Limits
from tune_jobs.study.parameters import Float, Integer
from tune_jobs.study.space import Space


def test_limits_that_exclude_each_other_are_refused_where_all_networks_can_be_looked_at() -> None:
    recipe = digits_mobilenet().recipe.with_changes(model="resnet18", model_options={})
    space = Space(Integer("width", 2, 20), Float("learning_rate", 0.01, 1.0))
    costs = [count_cost(recipe.with_changes(model_options={"width": width})) for width in (9, 10)]
    limits = Limits(min_macs=costs[0].macs + 1, max_parameters=costs[1].parameters - 1)
    study = Study(name="gap", space=space, recipe=recipe, limits=limits)
    with pytest.raises(InvalidValueError) as message:
        check_reachable(study)
    assert "its 19 networks were refused: 11 by max_parameters" in str(message.value)
    assert "8 by min_macs" in str(message.value)
    assert str(message.value).endswith("lower --min-macs, raise --max-parameters, or widen the space")
    assert check_reachable(study.with_changes(limits=Limits(min_macs=10, max_parameters=10**6))) == []


def test_limits_that_leave_next_to_nothing_are_noted_with_the_nearest_miss() -> None:
    study = digits_mobilenet().with_changes(
        limits=Limits(max_macs=200_000, min_macs=190_000, max_parameters=6000)
    )
    (note,) = check_reachable(study)
    assert note.startswith(
        "none of 100 networks drawn at random is within the limits; they were refused: 100 by"
    )
    assert "max_parameters 6,000" in note
    assert "the nearest miss has" in note
    assert check_reachable(study) == [note]


@pytest.mark.parametrize("limits", [Limits(), Limits(max_macs=1), Limits(max_parameters=1)])
def test_a_single_limit_on_the_plan_excludes_no_other(limits: Limits) -> None:
    assert check_together(digits_mobilenet().with_changes(limits=limits)) == []
