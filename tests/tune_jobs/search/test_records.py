"""Records of trials, and the best of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from search_testing import NOON, end, report

from tune_jobs.search.records import NUM_BEST, Ranking, TrialRecord
from tune_jobs.study.rows import Decision, Failure, State


def record(number: int = 0, **changes: Any) -> TrialRecord:
    return TrialRecord(
        **{"number": number, "trial_id": f"s/{number}", "params": {}, "first_started_at": NOON, **changes}
    )


def test_an_unfinished_trial_has_no_state_reason_or_objective() -> None:
    unfinished = record(attempts=1)
    assert (unfinished.state, unfinished.reason, unfinished.objective) == (None, None, None)
    assert not unfinished.trained
    assert not unfinished.diverged
    assert unfinished.last_epoch == 0


@pytest.mark.parametrize(
    ("attempts", "state", "trained"),
    [
        (1, State.COMPLETED, True),
        (1, State.STOPPED, True),
        (2, State.FAILED, True),
        (0, State.INFEASIBLE, False),
        (1, State.INFEASIBLE, False),  # its latency was measured above the limit
    ],
)
def test_ended_trials_count_as_trained_unless_they_are_infeasible(
    attempts: int, state: State, trained: bool
) -> None:
    assert record(attempts=attempts, end=end(0, state)).trained is trained


def test_only_the_kind_of_failure_makes_a_trial_diverged() -> None:
    assert record(end=end(0, State.FAILED, failure=Failure.DIVERGED)).diverged
    assert not record(end=end(0, State.FAILED, failure=Failure.RAISED)).diverged


@pytest.mark.parametrize(("in_hand", "seconds", "held"), [(True, 5, 5.0), (True, -5, 0.0), (False, 5, 0.0)])
def test_an_attempt_in_hand_counts_until_its_last_row_and_never_below_zero(
    in_hand: bool, seconds: int, held: float
) -> None:
    seen = NOON + timedelta(seconds=seconds)
    assert record(in_hand=in_hand, attempt_started_at=NOON, last_seen_at=seen).in_hand_s == held


def test_reports_give_values_decisions_and_the_last_epoch() -> None:
    deciding = report(0, 2, None, decision=Decision.STOP, decision_reason="because", history_seq=1)
    trial = record(reports=(report(0, 1, 0.5), deciding))
    assert trial.values("val_accuracy") == {1: 0.5}
    assert trial.decisions == (deciding,)
    assert trial.last_epoch == 2


def test_the_ranking_keeps_the_best_of_each_state_best_first() -> None:
    ranking = Ranking()
    for number in range(NUM_BEST + 5):
        completed = end(number, State.COMPLETED, objective=number / 100)
        ranking.add(record(number, end=completed), metric="val_accuracy", sign=-1.0)
    for number, (epoch, value) in enumerate([(3, 0.9), (9, 0.1), (9, 0.2), (3, None)], start=100):
        stopped = record(number, end=end(number, State.STOPPED), reports=(report(number, epoch, value),))
        ranking.add(stopped, metric="val_accuracy", sign=-1.0)
    ranking.add(record(200, end=end(200, State.FAILED)), metric="val_accuracy", sign=-1.0)
    assert [number for _, number in ranking.completed] == list(range(NUM_BEST + 4, 4, -1))
    assert [number for _, _, number in ranking.stopped] == [102, 101, 100, 103]
