"""A space and Optuna's distributions, both ways."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from search_testing import recipe_parameters

from tune_jobs.search.distributions import (
    Searched,
    distribution_of,
    distributions_of,
    joint_groups,
    only_value,
    value_of,
)
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, When
from tune_jobs.study.space import Space


def floats() -> st.SearchStrategy[Float]:
    bounds = st.floats(-1e6, 1e6, allow_nan=False)
    plain = st.tuples(bounds, bounds).map(lambda b: Float("x", min(b), max(b)))
    log = st.tuples(st.floats(1e-9, 1e6), st.floats(1e-9, 1e6)).map(
        lambda b: Float("x", min(b), max(b), log=True)
    )
    steps = st.sampled_from((0.05, 0.1, 0.25, 0.3, 1.0, 2.5))
    stepped = st.tuples(st.integers(-50, 50), st.floats(0, 9), steps).map(
        lambda t: Float("x", t[0] / 10, t[0] / 10 + t[1], step=t[2])
    )
    return st.one_of(plain, log, stepped)


def integers() -> st.SearchStrategy[Integer]:
    plain = st.tuples(st.integers(-99, 99), st.integers(0, 99), st.integers(1, 7)).map(
        lambda t: Integer("x", t[0], t[0] + t[1], step=t[2])
    )
    log = st.tuples(st.integers(1, 99), st.integers(0, 999)).map(
        lambda t: Integer("x", t[0], t[0] + t[1], log=True)
    )
    return st.one_of(plain, log)


def choices() -> st.SearchStrategy[Choice]:
    scalars = st.one_of(st.booleans(), st.integers(2, 99), st.floats(2, 99), st.text(max_size=5))
    return st.lists(scalars, min_size=1, max_size=6, unique=True).map(lambda v: Choice("x", tuple(v)))


@settings(max_examples=60)
@given(parameter=st.one_of(floats(), integers(), choices()), seed=st.integers(0, 2**32 - 1))
def test_distribution_has_the_values_of_its_parameter(parameter: Searched, seed: int) -> None:
    """The same set of values; the top of a range may only move onto its step's grid."""
    distribution = distribution_of(parameter)
    grid = parameter.grid()
    if grid is None:
        assert isinstance(parameter, Float)
        grid = (parameter.low, parameter.high)
    if isinstance(distribution, CategoricalDistribution):
        assert distribution.choices == tuple(grid)
    else:
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        assert (distribution.low, distribution.high) == (grid[0], grid[-1])
    value = random.Random(seed).choice(grid)
    internal = distribution.to_internal_repr(value)
    assert value_of(parameter, distribution.to_external_repr(internal)) == value
    assert parameter.problem_of(value) is None


def test_distributions_are_what_they_should_be() -> None:
    assert distributions_of(Space(*recipe_parameters())) == {
        "optimizer": CategoricalDistribution(("sgd", "sgd_momentum", "adam")),
        "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
        "momentum": FloatDistribution(0.5, 0.99),
        "nesterov": CategoricalDistribution((True, False)),
        "dropout": FloatDistribution(0.1, 0.5, step=0.1),
        "width": IntDistribution(8, 64, step=8),
        "batch_size": IntDistribution(16, 256, log=True),
        "only": CategoricalDistribution(("one",)),
    }


@pytest.mark.parametrize(
    ("parameter", "high"),
    [
        (Integer("x", 1, 10, step=4), 9),
        (Float("x", 0.1, 0.95, step=0.2), 0.9),
        (Float("x", 0.0, 0.3, step=0.1), 0.3),
        (Float("x", 0.7, 0.8, step=0.3), 0.7),
    ],
)
def test_a_range_that_is_no_whole_number_of_steps_ends_on_its_grid(parameter: Searched, high: float) -> None:
    """Optuna would warn; the suite runs with warnings as errors."""
    distribution = distribution_of(parameter)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    assert distribution.high == high


def test_drawn_values_stay_within_bounds_and_on_the_grid() -> None:
    rate = Float("x", 1e-4, 0.1, log=True)
    assert value_of(rate, math.nextafter(0.1, 1)) == 0.1
    assert value_of(rate, math.exp(math.log(1e-4)) * (1 - 1e-12)) == 1e-4
    stepped = Float("x", 0.1, 0.5, step=0.1)
    assert value_of(stepped, 0.1 + 2 * 0.1) == 0.3
    assert value_of(stepped, 0.5000000001) == 0.5
    assert value_of(Integer("x", 1, 5), 5) == 5
    assert value_of(Choice("x", (1, "a")), 1) == 1


@pytest.mark.parametrize(
    ("low", "high", "step", "expected"),
    [
        (0.7, 0.7 + 0.1, 0.1, 0.8),  # 0.7999999999999999
        (0.1, 0.1 + 0.7, 0.1, 0.8),
        (0.0, 0.1 * 3, 0.1, 0.1 * 3),  # 0.30000000000000004: a study that has it stays what it is
        (0.7, 0.79, 0.1, 0.79),
    ],
)
def test_an_end_that_rounding_puts_below_the_grid_is_on_it(
    low: float, high: float, step: float, expected: float
) -> None:
    stepped = Float("x", low, high, step=step)
    assert stepped.high == expected
    space = Space(stepped)
    for drawn in stepped.grid() or ():
        assert space.validated({"x": value_of(stepped, drawn)}) == {"x": drawn}
    assert space.validated({"x": high if expected == 0.8 else low})["x"] in (stepped.grid() or ())


def test_numpy_numbers_become_plain_ones() -> None:
    assert type(value_of(Float("x", 0, 1), np.float64(0.5))) is float


def test_groups_apply_together_and_come_after_what_they_depend_on() -> None:
    inner = When("nesterov", (True,))
    space = Space(*recipe_parameters(), Float("damping", 0, 1, when=inner), Float("last", 0, 1))
    names = [tuple(p.name for p in group) for group in joint_groups(space)]
    assert names == [
        ("optimizer", "learning_rate", "dropout", "width", "batch_size", "last"),
        ("momentum", "nesterov"),
        ("damping",),
    ]


def test_only_value_of_constants_and_points() -> None:
    assert only_value(Constant("x", (1, 2))) == (1, 2)
    assert only_value(Choice("x", ("one",))) == "one"
    assert only_value(Integer("x", 3, 4, step=2)) == 3
    assert only_value(Float("x", 0.5, 0.5)) == 0.5
