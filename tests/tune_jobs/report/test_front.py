"""The tables of a front, from frames as a store gives them."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tune_jobs.report.front import box, front, worth
from tune_jobs.study.objective import Direction, Objective

OBJECTIVES = (Objective(), Objective(metric="macs"))
LIMITS = {"max_macs": 400}
NO_STARTS = pd.DataFrame({"number": [], "recipe": []})
WORDS = ("params", "network")


def trials(*rows: tuple[int, int, str, float, int]) -> pd.DataFrame:
    """(number, seq, state, val_accuracy, macs)"""
    return pd.DataFrame(
        [
            {
                "number": number,
                "seq": seq,
                "state": state,
                "objectives": json.dumps({"val_accuracy": accuracy, "macs": macs}),
                "macs": macs,
                "parameters": 10 * macs,
                "epochs": 3,
                "train_s": 1.5,
                "params": '{"width":4}',
            }
            for number, seq, state, accuracy, macs in rows
        ]
    )


TRIALS = trials(
    (0, 5, "completed", 0.8, 50),
    (1, 10, "completed", 0.7, 60),
    (2, 12, "stopped", 0.99, 10),
    (3, 20, "completed", 0.9, 100),
)
REPORTS = pd.DataFrame({"seq": [2, 3, 4, 7, 8, 9, 11, 17, 18, 19, 21, 22]})


def test_front_is_of_completed_trials_best_first() -> None:
    table = front(TRIALS, NO_STARTS, OBJECTIVES)
    assert table.columns == ("trial", "val_accuracy", "macs", "parameters", "epochs", "train_s", *WORDS)
    assert [row[:4] for row in table.rows] == [(3, 0.9, 100, 1000), (0, 0.8, 50, 500)]
    assert "2 of 3 completed trials" in table.title


def test_worth_grows_with_the_epochs() -> None:
    table = worth(TRIALS, REPORTS, OBJECTIVES, LIMITS)
    first, whole = 0.8 * (1 - 50 / 400), 0.9 * (1 - 100 / 400) + 0.8 * (100 - 50) / 400
    assert [row[:2] for row in table.rows] == [(3, 1), (6, 2), (9, 2), (12, 3)]
    assert [row[2] for row in table.rows] == pytest.approx([first, first, first, whole])


def test_a_study_without_a_completed_trial_has_an_empty_front() -> None:
    stopped = trials((0, 5, "stopped", 0.8, 50))
    assert front(stopped, NO_STARTS, OBJECTIVES).rows == ()
    message = front(stopped, NO_STARTS, OBJECTIVES).empty
    assert message.startswith("No trial has completed. 1 trial stopped at a rung. Train more with --trials")
    assert {row[2] for row in worth(stopped, REPORTS, OBJECTIVES, LIMITS).rows} == {0.0}


def test_box_without_a_limit_ends_at_the_worst() -> None:
    points = [(0.5, 100.0), (0.9, 300.0)]
    ideal, reference = box(points, OBJECTIVES, {"max_macs": None})
    assert ideal == (1.0, 0.0)
    assert reference == pytest.approx((0.0, 330.0))
    assert box([], OBJECTIVES, {"max_macs": 7}) == ((1.0, 0.0), (0.0, 7.0))


def test_a_front_of_one_network_is_worth_something_without_a_limit() -> None:
    one = trials((0, 5, "completed", 0.8, 50))
    assert worth(one, REPORTS, OBJECTIVES, {}).rows[-1][2] == pytest.approx(0.8 * (1 - 1 / 1.1))


def test_own_metrics_of_any_name_range_and_sign_have_a_box_of_their_values() -> None:
    objectives = (
        Objective("number", Direction.MAXIMIZE, own=True),
        Objective("energy", Direction.MINIMIZE, own=True),
    )
    points = ((70.0, -3.0), (90.0, -1.0))
    ideal, reference = box(points, objectives, {})
    assert ideal == (90.0, -3.0)
    assert reference == pytest.approx((68.0, -0.8))
    ended = TRIALS.assign(
        objectives=[json.dumps({"number": value, "energy": -value}) for value in (70.0, 80.0, 95.0, 90.0)],
        macs=None,
        parameters=None,
        metrics='{"note":"ok"}',
    )
    table = front(ended, NO_STARTS, objectives)
    assert table.columns == ("trial", "number", "energy", "epochs", "train_s", *WORDS, "metrics")
    assert [row[:3] for row in table.rows] == [(3, 90.0, -90.0)]
    (*_, last) = worth(ended, REPORTS, objectives, {}).rows
    assert 0 < float(str(last[2])) <= 1


def test_values_that_are_all_equal_have_a_box_too() -> None:
    assert box([(0.5,)], (Objective("iou", Direction.MAXIMIZE, own=True),), {}) == ((0.5,), (-0.5,))
