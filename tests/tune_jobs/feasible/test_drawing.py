"""Points drawn from a space: inside it, the same each time, and each value as likely as another."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from eml_models.training.recipe import Recipe
from tune_jobs.feasible.drawing import iter_drawn
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, Params, When
from tune_jobs.study.space import Space


def a_study(*parameters: Parameter, seed: int = 0) -> Study:
    return Study(name="x", space=Space(*parameters), recipe=Recipe(learning_rate=0.1, epochs=2), seed=seed)


def drawn(*parameters: Parameter, count: int = 200, seed: int = 0, role: str = "test") -> list[Params]:
    return list(iter_drawn(a_study(*parameters, seed=seed), count, role=role))


MIXED = (
    Choice("optimizer", ("sgd", "adam")),
    Float("momentum", 0.0, 0.9, step=0.3, when=When("optimizer", ("sgd",))),
    Float("learning_rate", 1e-4, 1.0, log=True),
    Float("weight_decay", 0.0, 0.1),
    Integer("width", 2, 20, step=6),
    Integer("batch_size", 16, 512, log=True),
    Constant("cutout", 0.5),
)


def test_each_point_lies_in_the_space_and_has_what_applies() -> None:
    space = a_study(*MIXED).space
    for params in drawn(*MIXED):
        assert space.validated(params) == params
        assert ("momentum" in params) == (params["optimizer"] == "sgd")


def test_points_follow_from_the_seed_of_the_study_and_the_role() -> None:
    assert drawn(*MIXED) == drawn(*MIXED)
    assert drawn(*MIXED, count=3) == drawn(*MIXED)[:3]
    assert drawn(*MIXED, seed=1) != drawn(*MIXED)
    assert drawn(*MIXED, role="another") != drawn(*MIXED)


@pytest.mark.parametrize(
    "parameter",
    [
        Integer("x", 1, 4),
        Integer("x", 2, 23, step=6),
        Float("x", 0.1, 0.4, step=0.1),
        Choice("x", (2, 1.5, "a", True)),
    ],
)
def test_each_value_of_a_grid_is_as_likely(parameter: Parameter) -> None:
    """The standard deviation of a count of 4,000 draws is 27; both ends count in full."""
    counts = Counter(params["x"] for params in drawn(parameter, count=4000))
    assert set(counts) == set(parameter.grid() or ())
    assert all(abs(count - 1000) < 6 * 27.4 for count in counts.values())


def test_whole_numbers_on_a_logarithmic_scale_weigh_the_numbers_that_round_to_them() -> None:
    counts = Counter(params["x"] for params in drawn(Integer("x", 1, 8, log=True), count=4000))
    for value in range(1, 9):
        share = math.log((value + 0.5) / (value - 0.5)) / math.log(8.5 / 0.5)
        assert abs(counts[value] - 4000 * share) < 6 * math.sqrt(4000 * share)


def test_a_range_without_steps_is_uniform_or_logarithmic() -> None:
    plain = sorted(float(params["x"]) for params in drawn(Float("x", 0.0, 10.0), count=1001))  # type: ignore[arg-type]  # numbers
    assert plain[500] == pytest.approx(5.0, abs=0.8)
    log = sorted(float(params["x"]) for params in drawn(Float("x", 1e-4, 1.0, log=True), count=1001))  # type: ignore[arg-type]  # numbers
    assert math.log10(log[500]) == pytest.approx(-2.0, abs=0.3)
    assert drawn(Float("x", 0.5, 0.5), count=1) == [{"x": 0.5}]
