"""What rungs would have done with complete curves: as the rule itself decides, and counted by hand."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from session_testing import a_study

from tune_jobs import Asha, State
from tune_jobs.analysis.false_stops import FalseStops, RungReport, find_false_stops
from tune_jobs.study.method import SamplerName
from tune_jobs.study.objective import Direction
from tune_jobs.study.rows import Decision, ReportRow
from tune_jobs.testing.simulator import simulate

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE


def found(curves: dict[int, list[float | None]], asha: Asha, direction: Direction = UP) -> FalseStops | None:
    """Of trials that run one after the other."""
    reports = [
        RungReport(number=number, epoch=epoch, value=value)
        for number, values in curves.items()
        for epoch, value in enumerate(values, start=1)
    ]
    finals = {number: values[-1] or 0.0 for number, values in curves.items()}
    epochs = {number: len(values) for number, values in curves.items()}
    return find_false_stops(reports, finals, asha, epochs=epochs, direction=direction)


HALF = Asha(min_epochs=1, reduction_factor=2)
CROSSING = {0: [0.5, 0.6], 1: [0.4, 0.9], 2: [0.6, 0.7], 3: [0.3, 0.2]}
"""Trial 1 is second of two at the rung and the best at its end; 0 and 2 run to their ends."""


def test_trial_that_ends_among_the_best_is_counted_once() -> None:
    judged = found(CROSSING, HALF)
    assert judged is not None
    assert (judged.epochs, judged.reached, judged.stopped) == ((1,), {1: 4}, {1: 2})
    assert (judged.num_trials, judged.num_whole, judged.num_missed, judged.rate) == (4, 2, 1, 0.5)
    assert (judged.best, judged.best_whole) == (0.9, 0.7)


def test_smaller_is_better_where_the_objective_says_so() -> None:
    mirrored = {number: [1 - value for value in values] for number, values in CROSSING.items()}
    judged = found(mirrored, HALF, DOWN)
    assert judged is not None
    assert (judged.num_missed, judged.best, judged.best_whole) == (1, pytest.approx(0.1), pytest.approx(0.3))


def test_equal_ends_take_no_place_from_each_other() -> None:
    judged = found({0: [0.5, 0.9], 1: [0.4, 0.9], 2: [0.3, 0.9]}, HALF)
    assert judged is not None
    assert (judged.num_whole, judged.num_missed, judged.rate) == (1, 0, 0.0)


def test_stopped_trial_is_unknown_to_later_rungs() -> None:
    curves = {0: [0.5, 0.5, 0.5], 1: [0.1, 0.9, 0.9], 2: [0.6, 0.6, 0.6]}
    judged = found(curves, HALF)
    assert judged is not None
    assert (judged.epochs, judged.reached, judged.stopped) == ((1, 2), {1: 3, 2: 2}, {1: 1})
    assert (judged.num_whole, judged.num_missed) == (2, 1)


def test_value_that_is_missing_stops_and_no_rung_decides_at_the_last_epoch() -> None:
    judged = found({0: [0.5, 0.5, 0.5], 1: [None, 0.9, 0.9], 2: [0.4]}, HALF)
    assert judged is not None
    assert judged.stopped == {1: 1}
    assert judged.num_whole == 2


@pytest.mark.parametrize("asha", [Asha(min_epochs=5), Asha(min_epochs=2)])
def test_without_a_rung_or_a_trial_nothing_is_known(asha: Asha) -> None:
    assert found({0: [0.5, 0.6]}, asha) is None
    assert found({}, asha) is None


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_it_decides_as_a_run_with_that_rule(direction: Direction) -> None:
    """With a worker that trains one trial after the other both see the same reports in the same order."""
    drawn = {number: random.Random(number) for number in range(60)}
    curves: dict[int, list[float | None]] = {
        number: [round(dice.random() * epoch, 2) for epoch in range(1, 10)] for number, dice in drawn.items()
    }
    metric = "val_accuracy" if direction is UP else "val_loss"
    study = a_study(trials=60, sampler=SamplerName.RANDOM, objectives=(metric,))
    run = simulate(study, lambda params, number, epoch: curves[number][epoch - 1], workers=1)
    stops = Counter(
        row.epoch for row in run.rows if isinstance(row, ReportRow) and row.decision is Decision.STOP
    )
    assert study.asha is not None
    judged = found(curves, study.asha, direction)
    assert judged is not None
    assert sum(stops.values()) > 30
    assert judged.stopped == stops
    assert judged.num_whole == run.history.counts[State.COMPLETED]
