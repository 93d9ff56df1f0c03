"""A space of a front has small shares of the limit on MACs; one that a person gives stays as it is."""

from __future__ import annotations

import pytest
from own_studies import cells

from tune_jobs.inputs.shipped import digits_mobilenet
from tune_jobs.study.front_space import least_share, spread_share
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Constant, Float
from tune_jobs.study.space import Space

ACCURATE_AND_CHEAP = (Objective(), Objective("macs"))


@pytest.mark.parametrize("objectives", [ACCURATE_AND_CHEAP, ["val_accuracy", "macs"], "val_accuracy,macs"])
def test_small_shares_are_searched_once_a_cost_becomes_an_objective(objectives: object) -> None:
    study = digits_mobilenet()
    front = study.with_changes(objectives=objectives)
    share, plain = front.space["macs_share"], study.space["macs_share"]
    assert isinstance(share, Float)
    assert isinstance(plain, Float)
    assert (share.low, share.high, share.log) == (0.05, plain.high, True)
    assert [p for p in front.space.parameters if p != share] == [
        p for p in study.space.parameters if p != plain
    ]
    assert front.with_changes(objectives=objectives) == front


def test_a_space_is_kept_where_no_cost_is_an_objective() -> None:
    study = digits_mobilenet()
    assert spread_share(study.space, study.objectives) == study.space
    assert study.with_changes(objectives="val_loss").space == study.space


def test_bounds_that_come_with_the_objectives_are_kept() -> None:
    space = digits_mobilenet().space
    front = digits_mobilenet().with_changes(objectives=ACCURATE_AND_CHEAP, space=space)
    assert front.space == space
    held = digits_mobilenet().with_changes(objectives=ACCURATE_AND_CHEAP, fix={"macs_share": 0.9})
    assert isinstance(held.space["macs_share"], Constant)
    assert least_share(held.space) is None


def test_a_parameter_of_own_training_has_no_meaning_to_the_study() -> None:
    study = cells().with_changes(space=Space(Float("macs_share", 0.5, 1.0)))
    assert study.with_changes(objectives=("number:max", "macs:min")).space == study.space
