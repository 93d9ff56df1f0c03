"""Designs, outcomes and comparisons of levels on values whose answers are known by hand."""

from __future__ import annotations

import math

import own_studies
import pandas as pd
import pytest

from tune_jobs.analysis.factors import (
    Outcome,
    best_cell,
    cells_comparison,
    compare_all,
    compare_trials,
    design_of,
    ranked,
    read_outcomes,
    vary_alone,
)
from tune_jobs.inputs.shipped import digits_recipes, lab_mnist
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, When
from tune_jobs.study.space import Space

GRID = lab_mnist().with_changes(
    space=Space(
        Integer("repeat", 1, 2),
        Choice("optimizer", ("sgd", "adam")),
        Choice("learning_rate", (0.01, 0.1, 1.0)),
        Constant("momentum", 0.9),
    )
)


def test_the_design_follows_from_the_definition() -> None:
    design = design_of(GRID.definition())
    assert (design.is_grid, design.is_adaptive) == (True, False)
    assert design.factors == ("optimizer", "learning_rate")
    searched = design_of(digits_recipes().definition())
    assert searched.is_adaptive
    assert searched.factors == ("optimizer", "schedule", "batch_size")
    assert searched.numbers == ("learning_rate", "weight_decay", "momentum")
    drawn = design_of(digits_recipes().with_changes(sampler=SamplerName.RANDOM, asha=None).definition())
    assert not drawn.is_adaptive


def test_the_range_of_an_own_metric_is_unknown_whatever_its_name() -> None:
    definition = dict(own_studies.plain().definition())
    definition["objectives"] = [{"metric": "accuracy", "direction": "maximize"}]
    assert design_of(definition).span == (-math.inf, math.inf)
    assert design_of(GRID.definition()).span == (0.0, 1.0)


def outcome(value: float | None, **params: object) -> Outcome:
    return Outcome(params=params, value=value)


def levels(*outcomes: Outcome) -> dict[object, list[Outcome]]:
    """The outcomes by their optimizer."""
    found: dict[object, list[Outcome]] = {}
    for each in outcomes:
        found.setdefault(each.params["optimizer"], []).append(each)
    return found


def test_outcomes_are_of_completed_and_failed_trials_without_their_repeat() -> None:
    trials = pd.DataFrame(
        {
            "number": [2, 1, 0, 3],
            "state": ["completed", "failed", "stopped", "infeasible"],
            "params": ['{"repeat":1,"optimizer":"sgd"}', '{"optimizer":"adam"}', "{}", "{}"],
            "objective": [0.5, None, 0.1, None],
        }
    )
    assert read_outcomes(trials) == [outcome(None, optimizer="adam"), outcome(0.5, optimizer="sgd")]


def test_a_conditional_parameter_comes_with_its_parent_and_its_parents_parent() -> None:
    space = Space(
        Choice("optimizer", ("sgd", "adam")),
        Float("momentum", 0.0, 0.9, step=0.3, when=When("optimizer", ("sgd",))),
        Choice("nesterov", (True, False), when=When("momentum", (0.9,))),
        Choice("schedule", ("constant", "cosine")),
    )
    design = design_of(GRID.with_changes(space=space).definition())
    assert design.comes_with("optimizer") == {"optimizer", "momentum", "nesterov"}
    assert design.comes_with("momentum") == {"momentum", "nesterov"}
    assert design.comes_with("schedule") == {"schedule"}


def test_a_grid_compares_levels_within_the_cells_that_both_have() -> None:
    """Adam has no trial at the rate that is hard for all: the better mean, and each cell worse."""
    groups = levels(
        outcome(0.9, optimizer="sgd", learning_rate=0.1),
        outcome(0.1, optimizer="sgd", learning_rate=1.0),
        outcome(0.8, optimizer="adam", learning_rate=0.1),
    )
    design = design_of(GRID.definition())
    means = {"sgd": 0.5, "adam": 0.8}
    assert ranked(groups, means, design, "optimizer") == ["sgd", "adam"]
    difference = cells_comparison(design, "optimizer")(groups["adam"], groups["sgd"])
    assert (difference.value, difference.p) == (pytest.approx(-0.1), None)
    adaptive = design_of(digits_recipes().definition())
    assert ranked(groups, means, adaptive, "optimizer") == ["adam", "sgd"]


def test_all_pairs_are_compared_the_worse_less_the_better() -> None:
    groups = levels(*(outcome(value, optimizer=name) for name, value in (("a", 0.9), ("b", 0.7), ("c", 0.4))))
    pairs = compare_all(groups, ["a", "b", "c"], compare_trials)
    assert {pair: round(found.value, 3) for pair, found in pairs.items()} == {
        ("b", "a"): -0.2,
        ("c", "a"): -0.5,
        ("c", "b"): -0.3,
    }


def test_the_best_cell_is_a_mean_over_seeds_in_the_direction_of_the_objective() -> None:
    group = [outcome(v, rate=rate) for rate, v in ((1, 0.5), (1, 0.7), (2, 0.65), (2, None), (3, None))]
    assert best_cell(group, 1.0) == pytest.approx(0.65)
    assert best_cell(group, -1.0) == pytest.approx(0.6)
    assert best_cell(group[-1:], 1.0) is None


def test_levels_vary_alone_if_each_is_one_cell_and_nothing_else_differs() -> None:
    seeds = [outcome(v, optimizer=name) for name in ("sgd", "adam") for v in (0.5, 0.6)]
    assert vary_alone(levels(*seeds), {"optimizer"})
    other = [*seeds, outcome(0.7, optimizer="sgd", schedule="cosine")]
    assert not vary_alone(levels(*other), {"optimizer"})
