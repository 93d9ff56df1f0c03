"""A session: the attempts that it hands out, the rows that it records, and its decisions."""

from __future__ import annotations

import math

import pytest
from optuna.trial import TrialState
from session_testing import (
    WORKER,
    Clock,
    MemoryLog,
    Metrics,
    a_study,
    play,
    play_attempt,
    rising,
    session_of,
)
from two_objectives import two_objectives, wide_is_better

from tune_jobs.errors import RunFailedError
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.session.attempt import Attempt, SessionSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import (
    TRIED_WITH_MORE,
    Decision,
    EventKind,
    EventRow,
    Failure,
    State,
    TrialRow,
)


def test_study_ends_with_every_trial_in_a_terminal_row_with_a_reason() -> None:
    log = MemoryLog()
    session = session_of(log)
    play(session)
    assert session.finished
    assert [row.number for row in sorted(log.trials, key=lambda t: t.number)] == list(range(16))
    assert {row.state for row in log.trials} == {State.COMPLETED, State.STOPPED}
    assert all(row.reason for row in log.trials)
    assert all(row.objective is not None for row in log.trials)


def test_rows_stand_before_what_follows_from_them() -> None:
    log = MemoryLog()
    play(session_of(log))
    for start in log.starts:
        assert start.history_seq < start.seq
    for report in log.reports:
        if report.decision is not None:
            assert report.history_seq is not None
            assert report.history_seq < report.seq
    for trial in log.trials:
        reports = [r for r in log.reports if r.number == trial.number]
        assert [r.epoch for r in reports] == list(range(1, trial.epochs + 1))
        assert all(r.seq < trial.seq for r in reports)
        assert trial.objective == reports[-1].val_accuracy


def test_optuna_sees_stopped_trials_as_pruned_with_all_their_reports() -> None:
    log = MemoryLog()
    study = a_study()
    play(Session(study, log, clock=Clock()))
    seen = as_optuna_study(study, History.from_rows(study, log.rows)).trials
    stopped = {row.number: row for row in log.trials if row.state is State.STOPPED}
    assert stopped
    for number, row in stopped.items():
        trial = seen[number]
        assert trial.state is TrialState.PRUNED
        reports = {r.epoch: r.val_accuracy for r in log.reports if r.number == number}
        assert trial.intermediate_values == reports
        assert max(trial.intermediate_values) == row.epochs
    complete = {t.number for t in seen if t.state is TrialState.COMPLETE}
    assert complete == {row.number for row in log.trials if row.state is State.COMPLETED}


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({"epoch": 1, "val_accuracy": math.nan}, "diverged"),
        ({"epoch": 1, "val_accuracy": 0.5, "train_loss": math.inf}, "diverged"),
        ({"epoch": 1}, "lacks val_accuracy"),
        ({"val_accuracy": 0.5}, "lacks epoch"),
        ({"epoch": 0, "val_accuracy": 0.5}, "epoch must be"),
        ({"epoch": 10, "val_accuracy": 0.5}, "epoch must be"),
        ({"epoch": 1, "val_accuracy": "high"}, "must be a number"),
    ],
)
def test_unusable_report_fails_the_trial(metrics: Metrics, reason: str) -> None:
    log = MemoryLog()
    session = session_of(log)
    attempt = session.next_attempt()
    assert attempt is not None
    assert session.record_report(attempt.number, metrics, WORKER) is Decision.STOP
    (trial,) = log.trials
    assert trial.state is State.FAILED
    assert reason in trial.reason
    assert trial.objective is None
    assert trial.error


def fail_all(session: Session, failure: Failure) -> None:
    while (attempt := session.next_attempt()) is not None:
        session.record_failure(attempt.number, failure, "ValueError: no\nat line 1", worker=WORKER)


def test_too_many_failures_in_a_row_end_the_run() -> None:
    log = MemoryLog()
    session = session_of(log)
    with pytest.raises(
        RunFailedError, match="5 trials failed in a row, the last with this error: ValueError: no"
    ) as failed:
        fail_all(session, Failure.RAISED)
    assert f"`show {session.study.name} 4` has its traceback" in str(failed.value)
    assert "run the same command with --retry-failed, or allow more" in str(failed.value)
    assert len(log.trials) == 5


def test_divergence_does_not_count_as_a_failure_in_a_row() -> None:
    log = MemoryLog()
    fail_all(session_of(log), Failure.DIVERGED)
    assert [row.state for row in log.trials] == [State.FAILED] * 16


def test_crash_is_tried_again_until_the_attempts_are_spent() -> None:
    log = MemoryLog()
    session = Session(a_study(trials=1), log, settings=SessionSettings(max_attempts=3), clock=Clock())
    fail_all(session, Failure.CRASHED)
    assert [row.attempt for row in log.starts] == [1, 2, 3]
    (trial,) = log.trials
    assert (trial.state, trial.attempt) == (State.FAILED, 3)
    assert "attempt 3 crashed" in trial.reason


def test_trial_gets_larger_shares_up_to_a_whole_gpu_and_these_are_no_crashes() -> None:
    log = MemoryLog()
    settings = SessionSettings(max_attempts=2)
    session = Session(a_study(trials=1), log, settings=settings, clock=Clock())
    ways = [Failure.OUT_OF_SHARE, *[Failure.SHARED_FAULT] * 2, Failure.CRASHED, Failure.CRASHED]  # from 1/8
    for number, failure in enumerate(ways, start=1):
        assert not log.trials
        attempt = session.next_attempt()
        assert attempt is not None
        assert attempt.attempt == number
        session.record_failure(attempt.number, failure, "the error", worker=WORKER)
    assert [row.state for row in log.trials] == [State.FAILED]
    assert session.history.trials == History.from_rows(a_study(), log.rows).trials


@pytest.mark.parametrize("failure", Failure)
def test_each_failure_stands_in_the_row_of_its_attempt_and_of_its_trial(failure: Failure) -> None:
    log = MemoryLog()
    session = Session(a_study(trials=1), log, settings=SessionSettings(max_attempts=1), clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_failure(attempt.number, failure, "ValueError: no", worker=WORKER)
    ended = [row for row in log.rows if isinstance(row, EventRow) and row.kind is EventKind.ATTEMPT_ENDED]
    assert [row.failure for row in ended] == [failure]
    assert [row.failure for row in log.trials] == ([] if failure in TRIED_WITH_MORE else [failure])


def test_crashed_trial_that_recovers_completes_with_each_epoch_once() -> None:
    log = MemoryLog()
    session = session_of(log, trials=1, asha=None)
    attempt = session.next_attempt()
    assert attempt is not None
    for epoch in (1, 2, 3):
        session.record_report(attempt.number, rising(attempt, epoch), WORKER)
    session.record_failure(attempt.number, Failure.CRASHED, "the worker died", worker=WORKER)
    again = session.next_attempt()
    assert again is not None
    assert again.recipe == attempt.recipe
    for epoch in range(3, 10):  # resumed from a checkpoint after epoch 2
        session.record_report(again.number, rising(again, epoch), WORKER)
    (trial,) = log.trials
    assert (trial.state, trial.epochs, trial.attempt) == (State.COMPLETED, 9, 2)
    assert [r.epoch for r in session.history.trials[0].reports] == list(range(1, 10))


def test_function_that_returns_early_completes_the_trial_and_says_so() -> None:
    log = MemoryLog()
    session = session_of(log, trials=1, asha=None)
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_report(attempt.number, rising(attempt, 1), WORKER)
    session.record_end(attempt.number, WORKER)
    (trial,) = log.trials
    assert (trial.state, trial.epochs) == (State.COMPLETED, 1)
    assert "returned after epoch 1 of 9" in trial.reason


def test_function_that_returns_without_a_report_fails() -> None:
    log = MemoryLog()
    session = session_of(log, trials=1)
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_end(attempt.number, WORKER)
    assert log.trials[0].state is State.FAILED


def test_events_tell_when_attempts_began_and_ended() -> None:
    log = MemoryLog()
    session = session_of(log, trials=2)
    play(session)
    session.close(SessionEnd.FINISHED)
    events = [row for row in log.rows if isinstance(row, EventRow)]
    assert [e.kind for e in events] == [
        EventKind.SESSION_STARTED,
        *[EventKind.ATTEMPT_STARTED, EventKind.ATTEMPT_ENDED] * 2,
        EventKind.SESSION_ENDED,
    ]
    assert all(e.duration_s is not None and e.duration_s > 0 for e in events[1:])


def test_several_workers_hold_different_trials() -> None:
    log = MemoryLog()
    session = session_of(log)
    first, second = session.next_attempt(), session.next_attempt()
    assert isinstance(first, Attempt)
    assert isinstance(second, Attempt)
    assert session.live_numbers == (first.number, second.number) == (0, 1)
    play_attempt(session, second)
    assert session.live_numbers == (0,)
    assert [row.number for row in log.rows if isinstance(row, TrialRow)] == [1]


def test_a_missing_objective_fails_the_trial() -> None:
    study = two_objectives().with_changes(objectives=(Objective(), Objective(metric="val_loss")))
    session = Session(study, MemoryLog(), clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_report(attempt.number, wide_is_better(attempt, 1), WORKER)
    record = session.history.trials[attempt.number]
    assert record.state is State.FAILED
    assert "the report lacks val_loss" in (record.reason or "")
