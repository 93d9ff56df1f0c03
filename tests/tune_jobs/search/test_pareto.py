"""Fronts, the order within them, and hypervolumes, against values that a hand can check."""

from __future__ import annotations

import itertools

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_jobs.search.objectives import Point
from tune_jobs.search.pareto import front_numbers, hypervolume, non_dominated, standings
from tune_jobs.study.objective import Direction, Maximize, Minimize, Objective

UP_DOWN = (Direction.MAXIMIZE, Direction.MINIMIZE)
ACCURACY_MACS = (Objective(metric="val_accuracy"), Objective(metric="macs"))
POINTS: list[Point] = [(0.9, 100.0), (0.8, 50.0), (0.7, 60.0), (0.95, 400.0), (0.6, 40.0), (0.5, 70.0)]

points = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.4]), st.sampled_from([1.0, 2.0, 4.0, 8.0])), max_size=12
)


def beats(one: Point, other: Point) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


def test_the_front_is_what_none_beats() -> None:
    assert non_dominated(POINTS, UP_DOWN) == [0, 1, 3, 4]
    assert front_numbers(POINTS, UP_DOWN) == [1, 1, 2, 1, 1, 3]


@given(points)
@settings(deadline=None)
def test_the_front_is_that_of_the_definition(drawn: list[Point]) -> None:
    expected = [i for i, p in enumerate(drawn) if not any(beats(q, p) for q in drawn)]
    assert non_dominated(drawn, UP_DOWN) == expected


@given(points.filter(bool))
@settings(deadline=None, max_examples=50)
def test_the_front_is_optunas(drawn: list[Point]) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials([optuna.trial.create_trial(values=list(point)) for point in drawn])
    assert non_dominated(drawn, UP_DOWN) == sorted(trial.number for trial in study.best_trials)


def test_standings_go_front_by_front_and_spread_within_one() -> None:
    """On the front: the most accurate, then the farthest from it (the cheapest), then what lies between.

    Scaled by the front (accuracy 0.6 to 0.95, log MACs 40 to 400), trial 1 (0.571, 0.097) is 0.58 from its
    nearest chosen point, the cheapest; trial 0 (0.857, 0.398) is 0.62 from the most accurate: 0 comes first.
    """
    places = standings(POINTS, ACCURACY_MACS)
    assert places == [3, 4, 5, 1, 2, 6]


def test_equal_points_share_a_place() -> None:
    places = standings([(0.9, 10.0), (0.9, 10.0), (0.5, 20.0)], ACCURACY_MACS)
    assert places == [1, 1, 3]


@given(points.filter(bool), st.randoms())
@settings(deadline=None, max_examples=50)
def test_standings_depend_on_the_values_alone(drawn: list[Point], random: object) -> None:
    by_value = dict(zip(drawn, standings(drawn, ACCURACY_MACS), strict=True))
    for shuffled in itertools.islice(itertools.permutations(drawn), 5):
        again = standings(list(shuffled), ACCURACY_MACS)
        assert dict(zip(shuffled, again, strict=True)) == by_value


@given(points.filter(bool))
@settings(deadline=None)
def test_no_one_stands_before_whom_it_is_beaten_by(drawn: list[Point]) -> None:
    places = standings(drawn, ACCURACY_MACS)
    for (p, place), (q, other) in itertools.product(zip(drawn, places, strict=True), repeat=2):
        if beats(p, q):
            assert place < other


def test_hypervolume_is_the_area_of_the_steps() -> None:
    """Losses scaled to the box: (0.1, 0.25), (0.2, 0.125); 0.9 x 0.75 + 0.8 x 0.125."""
    volume = hypervolume([(0.9, 100.0), (0.8, 50.0)], UP_DOWN, ideal=(1.0, 0.0), reference=(0.0, 400.0))
    assert volume == pytest.approx(0.9 * 0.75 + 0.8 * 0.125)
    assert hypervolume([], UP_DOWN, ideal=(1.0, 0.0), reference=(0.0, 400.0)) == 0.0
    beyond = hypervolume([(0.9, 500.0)], UP_DOWN, ideal=(1.0, 0.0), reference=(0.0, 400.0))
    assert beyond == 0.0


def test_three_objectives() -> None:
    directions = (Direction.MAXIMIZE, Direction.MINIMIZE, Direction.MINIMIZE)
    drawn: list[Point] = [(0.9, 10.0, 10.0), (0.9, 10.0, 9.0), (0.5, 5.0, 20.0), (0.4, 5.0, 20.0)]
    assert non_dominated(drawn, directions) == [1, 2]
    assert front_numbers([], directions) == []
    volume = hypervolume([(0.5, 5.0, 5.0)], directions, ideal=(1.0, 0.0, 0.0), reference=(0.0, 10.0, 10.0))
    assert volume == pytest.approx(0.5**3)


@pytest.mark.parametrize("size", [1e-300, 1.0, 1.7e308])
def test_values_of_any_size_have_an_order_and_a_hypervolume(size: float) -> None:
    points = [(-size, 0.0), (0.0, 0.5), (size, 1.0)]
    share = hypervolume(points, UP_DOWN, ideal=(size, 0.0), reference=(-size, 1.0))
    assert share == pytest.approx(0.5 * 0.5)
    assert standings(points, (Maximize("score"), Minimize("loss"))) == [2, 3, 1]
