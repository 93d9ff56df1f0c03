"""The order of a grid: each point once, every level early, balanced wherever it is cut off."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_testing import MemoryLog, a_session, a_study, play

from tune_jobs.inputs.shipped import SHIPPED, lab_mnist
from tune_jobs.search.grid_order import Product, count_points, iter_points
from tune_jobs.search.history import History
from tune_jobs.search.sampler import build_sampler
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Params, When
from tune_jobs.study.space import Space

SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=5).filter(lambda sizes: math.prod(sizes) <= 600)
GRIDS = [name for name, make in SHIPPED.items() if make().sampler is SamplerName.GRID]


def text(point: Params) -> str:
    return json.dumps(point, sort_keys=True)


def proposals(study: Study, number: int) -> list[Params]:
    sampler, nothing = build_sampler(study), History(study)
    return [point for n in range(number) if (point := sampler.propose(nothing, n)) is not None]


@settings(deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 2**32))
def test_product_has_each_combination_once_and_every_prefix_is_balanced(sizes: list[int], seed: int) -> None:
    order = Product(sizes, seed)
    trials = [order.levels(trial) for trial in range(order.size)]
    assert sorted(trials) == list(itertools.product(*map(range, sizes)))
    product = 1
    for factor, n in sorted(enumerate(sizes), key=lambda of: -of[1]):
        counts, most_apart = [0] * n, 1 if product % n == 0 or math.gcd(product, n) == 1 else 2
        product *= n
        for number, levels in enumerate(trials, start=1):
            counts[levels[factor]] += 1
            assert max(counts) - min(counts) <= most_apart
            if number == max(sizes):
                assert min(counts) >= 1


@pytest.mark.parametrize("name", GRIDS)
def test_shipped_grid_that_is_cut_off_has_every_level_of_every_factor(name: str) -> None:
    """At 36 of its trials the lab table once had no Adam."""
    study = SHIPPED[name]()
    factors = [p for p in study.space.parameters if p.name != "repeat"]
    for number in range(5, 37):
        points = proposals(study, number)
        for factor in factors:
            levels = factor.grid()
            assert levels is not None
            counts = Counter(point[factor.name] for point in points)
            assert set(counts) == set(levels)
            assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("name", GRIDS)
def test_shipped_grid_has_every_point_once(name: str) -> None:
    study = SHIPPED[name]()
    points = proposals(study, study.trials + 1)
    assert len(points) == study.trials
    assert {text(p) for p in points} == {text(p) for p in study.space.iter_grid()}
    assert [list(p) for p in points] == [list(study.space.names)] * study.trials


def test_every_cell_is_tried_once_before_any_is_tried_twice() -> None:
    study = lab_mnist()
    points = proposals(study, 375)
    assert [point["repeat"] for point in points] == [1] * 125 + [2] * 125 + [3] * 125


def test_a_pair_of_levels_does_not_go_in_step() -> None:
    """Of 25 pairs of an optimizer and a rate a diagonal would have five; all pairs come in 125 points."""
    points = proposals(lab_mnist(), 125)
    for one, other in itertools.combinations(("optimizer", "learning_rate", "schedule"), 2):
        early = {(point[one], point[other]) for point in points[:25]}
        assert len(early) >= 12
        assert Counter((point[one], point[other]) for point in points) == dict.fromkeys(
            itertools.product(*({p[name] for p in points} for name in (one, other))), 5
        )


def test_the_order_is_the_seeds_and_the_same_after_a_resume() -> None:
    space = Space(
        Choice("optimizer", ("sgd", "adam", "adamw")), Choice("learning_rate", (0.1, 0.2, 0.3, 0.4))
    )
    study = a_study(space=space, sampler="grid", asha=None, trials=12)
    whole, log = MemoryLog(), MemoryLog()
    play(a_session(whole, study))
    for trials in (5, 7, 12):
        play(a_session(log, study.with_changes(trials=trials)))
    assert [trial.params for trial in log.trials] == [trial.params for trial in whole.trials]
    assert len({trial.params for trial in whole.trials}) == 12
    assert [json.loads(t.params) for t in whole.trials] != list(space.iter_grid())
    orders = {json.dumps(proposals(study.with_changes(seed=seed), 12)) for seed in range(6)}
    assert len(orders) == 6


def conditional_space() -> Space:
    return Space(
        Choice("optimizer", ("sgd", "sgd_momentum", "adam", "rmsprop")),
        Float("learning_rate", 0.1, 0.5, step=0.1),
        Choice("momentum", (0.5, 0.9, 0.99), when=When("optimizer", ("sgd_momentum", "rmsprop"))),
        Choice("nesterov", (True, False), when=When("optimizer", ("sgd_momentum",))),
        Integer("steps", 1, 3, when=When("nesterov", (True,))),
        Constant("beta", 0.9, when=When("optimizer", ("adam",))),
        Integer("repeat", 1, 2),
    )


@pytest.mark.parametrize("seed", range(4))
def test_conditional_points_come_once_each_and_their_parents_stay_balanced(seed: int) -> None:
    space = conditional_space()
    points = list(iter_points(space, seed))
    per_repeat = 5 * (1 + 3 * (1 + 3) + 1 + 3)  # rates x (sgd, sgd_momentum, adam, rmsprop)
    assert len(points) == 2 * per_repeat
    assert sorted(map(text, points)) == sorted(map(text, space.iter_grid()))
    for point in points:
        assert list(space.validated(point)) == list(point)
    for number in range(5, 21):  # each pair of optimizer and rate comes once before any comes again
        for name in ("optimizer", "learning_rate"):
            counts = Counter(point[name] for point in points[:number])
            assert len(counts) == (4 if name == "optimizer" else 5)
            assert max(counts.values()) - min(counts.values()) <= 1
    with_momentum = [p["momentum"] for p in points[:20] if "momentum" in p and p["optimizer"] == "rmsprop"]
    assert set(with_momentum) == {0.5, 0.9, 0.99}


def test_a_huge_grid_costs_what_is_used_of_it() -> None:
    huge = 10**18
    space = Space(
        Integer("a", 1, huge),
        Integer("b", 1, huge, step=3),
        Choice("c", ("x", "y")),
        Integer("d", 0, huge, when=When("a", (7,))),
    )
    points = list(islice(iter_points(space, 3), 1000))
    assert len({text(point) for point in points}) == 1000
    assert all(space.validated(point) == point for point in points)
    first = [point["a"] for point in points]
    assert min(first) < huge / 10 < 9 * huge / 10 < max(first)  # over the range, not its first thousand


def test_a_space_without_choice_has_one_point() -> None:
    assert list(iter_points(Space(Constant("a", 1), Choice("b", ("x",))), 0)) == [{"a": 1, "b": "x"}]
    assert list(iter_points(Space(Integer("repeat", 1, 3)), 0)) == [{"repeat": n} for n in (1, 2, 3)]


def test_a_repeat_that_others_depend_on_is_a_factor_like_any_other() -> None:
    space = Space(Integer("repeat", 1, 2), Choice("more", (1, 2), when=When("repeat", (2,))))
    assert {text(p) for p in iter_points(space, 0)} == {text(p) for p in space.iter_grid()}


@pytest.mark.parametrize("name", GRIDS)
def test_points_of_a_shipped_grid_are_counted(name: str) -> None:
    space = SHIPPED[name]().space
    assert count_points(space) == sum(1 for _ in space.iter_grid())


def test_points_are_counted_with_conditions_and_without_making_them() -> None:
    space = Space(
        Choice("model", ("a", "b", "c")),
        Integer("width", 1, 10, when=When("model", ("a", "b"))),
        Integer("depth", 1, 3, when=When("model", ("b",))),
    )
    assert count_points(space) == sum(1 for _ in space.iter_grid()) == 10 + 30 + 1
    assert count_points(Space(Integer("width", 1, 10**12))) == 10**12
    assert count_points(Space(Float("rate", 0.1, 1.0))) is None
