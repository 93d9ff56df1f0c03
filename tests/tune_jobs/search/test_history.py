"""The fold of rows into trials, reports, rungs and counts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_testing import (
    NOON,
    end,
    event,
    history_of,
    make_study,
    numbered,
    report,
    simulate,
    start,
)
from two_objectives import played_front, two_objectives

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.retention import best_numbers
from tune_jobs.inputs.shipped import digits_front
from tune_jobs.search.history import History, rung_between
from tune_jobs.search.pareto import non_dominated
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import Decision, EventKind, Failure, Row, State, as_json_text

STUDY = make_study(epochs=10)


def facts(history: History) -> tuple[object, ...]:
    rungs = {epoch: (tuple(rung.values), dict(rung.reports)) for epoch, rung in history.rungs.items()}
    return (
        history.seq,
        history.trials,
        history.counts,
        rungs,
        history.best,
        history.num_trained,
        history.next_number,
        history.failed_in_a_row,
        list(history.unfinished()),
        list(history.in_hand()),
    )


def test_a_trial_goes_from_start_to_end() -> None:
    params = {"width": 8, "fixed": (1, 2)}
    rows = numbered(
        start(0, params), report(0, 1, 0.5), report(0, 2, 0.6), end(0, State.COMPLETED, params, objective=0.6)
    )
    history = History(STUDY)
    history.apply(rows[0])
    record = history.trials[0]
    assert (record.params, record.attempts, record.state, record.reason) == (params, 1, None, None)
    assert [r.number for r in history.unfinished()] == [0]
    for row in rows[1:]:
        history.apply(row)
    record = history.trials[0]
    assert (record.state, record.objective, record.last_epoch) == (State.COMPLETED, 0.6, 2)
    assert record.reason == "completed because a test says so"
    assert record.values("val_accuracy") == {1: 0.5, 2: 0.6}
    assert record.values("val_loss") == {}
    assert (history.seq, history.next_number, history.num_trained) == (4, 1, 1)
    assert list(history.unfinished()) == []
    assert history.best is record


def test_of_a_repeated_epoch_the_first_acknowledged_counts() -> None:
    history = history_of(
        STUDY,
        start(0),
        report(0, 1, 0.1),
        report(0, 3, 0.3),
        start(0, attempt=2),
        report(0, 1, 0.9, attempt=2),
        report(0, 2, 0.2, attempt=2),
        report(0, 3, 0.9, attempt=2),
    )
    record = history.trials[0]
    assert record.values("val_accuracy") == {1: 0.1, 2: 0.2, 3: 0.3}
    assert [r.attempt for r in record.reports] == [1, 2, 1]
    assert record.attempts == 2
    assert history.rungs[1].values == [0.1]
    assert history.rungs[3].values == [0.3]


def test_decisions_are_the_reports_that_carry_one() -> None:
    decided = report(0, 1, 0.5, decision=Decision.CONTINUE, decision_reason="1st of 1")
    history = history_of(STUDY, start(0), decided, report(0, 2, 0.6))
    assert [(r.epoch, r.decision) for r in history.trials[0].decisions] == [(1, Decision.CONTINUE)]


def test_counts_and_numbers_by_state() -> None:
    history = history_of(
        STUDY,
        *(start(number) for number in (0, 1, 2, 4)),
        end(0, State.COMPLETED, objective=0.5),
        end(5, State.INFEASIBLE),
        end(1, State.STOPPED, objective=0.9),
        end(2, State.FAILED),
    )
    assert history.counts == dict.fromkeys(State, 1)
    assert history.num_trained == 3
    assert history.next_number == 6
    assert [r.number for r in history.unfinished()] == [4]
    assert history.trials[5].attempts == 0
    assert history.best is not None
    assert history.best.number == 0


def test_best_follows_the_direction_and_keeps_the_earlier_of_equals() -> None:
    rows = [start(n) for n in range(3)] + [
        end(n, State.COMPLETED, objective=value) for n, value in ((1, 0.3), (0, 0.2), (2, 0.2))
    ]
    best = history_of(STUDY, *rows).best
    assert best is not None
    assert best.number == 1
    study = make_study(objectives=(Objective(metric="val_loss"),))
    best = history_of(study, *rows).best
    assert best is not None
    assert best.number == 0


def test_a_completed_trial_without_objective_is_never_the_best() -> None:
    assert history_of(STUDY, start(0), end(0, State.COMPLETED)).best is None


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["failed", "failed"], 2),
        (["failed", "completed", "failed"], 1),
        (["failed", "stopped"], 0),
        (["failed", "diverged", "failed", "diverged"], 2),
        (["failed", "infeasible"], 1),
    ],
)
def test_failed_in_a_row_ignores_divergence(states: list[str], expected: int) -> None:
    rows: list[Row] = []
    for number, state in enumerate(states):
        if state != "infeasible":
            rows.append(start(number))
        if state == "diverged":
            rows.append(end(number, State.FAILED, failure=Failure.DIVERGED))
        else:
            rows.append(end(number, State(state)))
    assert history_of(STUDY, *rows).failed_in_a_row == expected


def test_a_trial_diverged_if_its_failure_is_that_whatever_the_reason_says() -> None:
    ends = (
        end(0, State.FAILED, failure=Failure.DIVERGED, reason="the loss blew up"),
        end(1, State.FAILED, failure=Failure.RAISED, reason="attempt 1 diverged: said its own code"),
    )
    history = history_of(STUDY, start(0), start(1), *ends)
    assert (history.trials[0].diverged, history.trials[1].diverged) == (True, False)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure.CRASHED, 1),
        (Failure.HUNG, 1),
        (Failure.OUT_OF_SHARE, 0),
        (Failure.SHARED_FAULT, 0),
        (None, 0),
    ],
)
def test_an_attempt_counts_as_crashed_by_its_failure_whatever_the_detail_says(
    failure: Failure | None, expected: int
) -> None:
    for how in ("attempt 1 ran out of its share of GPU memory: x", "attempt 1 crashed: x", "reworded"):
        ended = event(EventKind.ATTEMPT_ENDED, 0, failure=failure, detail=as_json_text({"how": how}))
        assert history_of(STUDY, start(0), ended).trials[0].num_crashed == expected


def test_a_late_worker_changes_nothing_of_a_trial_that_ended() -> None:
    rows = [start(0), report(0, 1, 0.5), end(0, State.STOPPED, objective=0.5)]
    late = [report(0, 3, 0.9), start(0, attempt=2), end(0, State.COMPLETED, objective=0.9)]
    before, after = history_of(STUDY, *rows), history_of(STUDY, *rows, *late)
    assert facts(after)[1:] == facts(before)[1:]
    assert after.seq == 6


def test_attempts_held_seconds_and_in_hand() -> None:
    ended = event(EventKind.ATTEMPT_ENDED, 0, duration_s=5.0)
    began = event(EventKind.ATTEMPT_STARTED, 0, happened_at=NOON + timedelta(seconds=1))
    history = history_of(STUDY, start(0), began, report(0, 1, 0.5), ended)
    assert (history.trials[0].held_s, list(history.in_hand())) == (5.0, [])
    again = start(0, attempt=2, started_at=NOON + timedelta(seconds=60))
    history = history_of(STUDY, start(0), began, report(0, 1, 0.5), ended, again)
    assert (history.trials[0].held_s, history.trials[0].attempts) == (5.0, 2)
    assert [r.number for r in history.in_hand()] == [0]
    assert history.trials[0].first_started_at == NOON


def test_an_attempt_that_a_kill_cut_short_counts_until_its_last_row() -> None:
    rows = (start(0), report(0, 4, 0.5), start(0, attempt=2, started_at=NOON + timedelta(hours=1)))
    assert history_of(STUDY, *rows).trials[0].held_s == 4.0
    stepped_back = (start(0), report(0, 4, 0.5, reported_at=NOON - timedelta(hours=1)), start(0, attempt=2))
    assert history_of(STUDY, *stepped_back).trials[0].held_s == 0.0


def test_events_without_a_trial_only_move_seq() -> None:
    history = history_of(STUDY, event(EventKind.SESSION_STARTED), event(EventKind.ATTEMPT_INTERRUPTED))
    assert (history.seq, history.trials) == (2, {})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (replace(start(1), seq=1), "rising order of seq, got 1 after 1"),
        (start(1), "rising order of seq, got 0 after 1"),
        (
            replace(start(1, study="other"), seq=2),
            "row 2 belongs to study 'other', and this history to study 's'",
        ),
        (replace(report(7, 1, 0.5), seq=2), "report of trial 7, which never started"),
        (replace(end(7, State.FAILED), seq=2), "ends trial 7, which never started"),
    ],
)
def test_rows_that_cannot_follow_are_refused(row: Row, message: str) -> None:
    history = history_of(STUDY, start(0))
    before = facts(history)
    with pytest.raises(InvalidValueError, match=message):
        history.apply(row)
    assert facts(history) == before


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), workers=st.integers(1, 4))
def test_folding_step_by_step_equals_folding_anew(seed: int, workers: int) -> None:
    study = make_study(epochs=4, trials=8, seed=seed, sampler="random")
    rows = simulate(
        study, lambda params, number, epoch: (number * 7 + epoch * 3) % 10 / 10, workers=workers
    ).rows
    history = History(study)
    for index, row in enumerate(rows):
        assert facts(history) == facts(History.at(study, rows, index))
        history.apply(row)
    assert facts(history) == facts(History.from_rows(study, reversed(rows)))


def test_records_are_snapshots() -> None:
    history = History(STUDY)
    rows = numbered(start(0), report(0, 1, 0.5))
    history.apply(rows[0])
    record = history.trials[0]
    history.apply(rows[1])
    assert record.reports == ()
    assert len(history.trials[0].reports) == 1


@pytest.mark.parametrize(
    ("previous", "epoch", "expected"),
    [(0, 1, 1), (1, 2, None), (2, 3, 3), (1, 3, 3), (3, 4, None), (0, 4, 3), (3, 20, 9), (9, 20, None)],
)
def test_rung_between_is_the_highest_that_was_passed(previous: int, epoch: int, expected: int | None) -> None:
    assert rung_between((1, 3, 9), previous, epoch) == expected


def test_a_report_past_a_rung_that_was_not_reported_counts_at_the_rung() -> None:
    history = history_of(STUDY, start(0), report(0, 2, 0.2), report(0, 5, 0.5), start(1), report(1, 3, 0.3))
    assert history.rungs[1].values == [0.2]
    assert history.rungs[3].values == [0.3, 0.5]
    assert history.rungs[9].values == []


DIRECTIONS = tuple(objective.direction for objective in digits_front().objectives)


def test_the_front_is_of_completed_trials_and_every_row_has_all_values() -> None:
    log, session = played_front(two_objectives())
    completed = [row for row in log.trials if row.state is State.COMPLETED]
    values = [(json.loads(r.objectives)["val_accuracy"], json.loads(r.objectives)["macs"]) for r in completed]
    assert [v[1] for v in values] == [row.macs for row in completed]
    expected = {completed[index].number for index in non_dominated(values, DIRECTIONS)}
    assert {record.number for record in session.history.front} == expected
    assert session.progress().front == len(expected)
    assert set(best_numbers(session.history, 3)) <= expected
    assert best_numbers(session.history, 1) == [max(completed, key=lambda r: r.objective or 0).number]
