"""A session: the attempts that it hands out, the rows that it records, and its decisions and limits."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import timedelta

import pytest
from optuna.trial import TrialState
from session_testing import (
    WORKER,
    Clock,
    MemoryLog,
    Metrics,
    a_session,
    a_study,
    play,
    play_attempt,
    rising,
    session_of,
    table,
)
from two_objectives import two_objectives, wide_is_better

from tune_jobs.analysis.audit import audit
from tune_jobs.errors import RunFailedError
from tune_jobs.search.history import History, params_from_json
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.session.attempt import Attempt, SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.method import Asha, LatencyMode, Limits
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Choice, Float, Parameter
from tune_jobs.study.rows import (
    TRIED_WITH_MORE,
    Decision,
    EventKind,
    EventRow,
    Failure,
    State,
    TrialRow,
)
from tune_jobs.study.space import Space
from tune_jobs.study.stored import study_from_definition


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
    with pytest.raises(
        RunFailedError, match="5 trials failed in a row, the last with this error: ValueError: no"
    ):
        fail_all(session_of(log), Failure.RAISED)
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


def next_attempt(session: Session) -> Attempt:
    attempt = session.next_attempt()
    assert attempt is not None
    return attempt


def measured(session: Session, attempt: Attempt, latency_ms: float) -> Decision:
    decision = session.record_latency(attempt.number, latency_ms, WORKER)
    if decision is Decision.CONTINUE:
        play_attempt(session, attempt, wide_is_better)
    return decision


def test_latency_is_an_objective_and_a_limit() -> None:
    """Networks above it are not trained, count as refused, and teach the sampler by how much."""
    study = two_objectives(
        objectives=(Objective(), Objective(metric="latency_ms")),
        latency=LatencyMode(),
        limits=Limits(max_latency_ms=2.0),
    ).with_changes(trials=8)
    log = MemoryLog()
    session = Session(study, log, clock=Clock())
    while (attempt := session.next_attempt()) is not None:
        measured(session, attempt, float(attempt.recipe.model_options["width"]) / 10)
    refused = [row for row in log.trials if row.state is State.INFEASIBLE]
    trained = [row for row in log.trials if row.state is not State.INFEASIBLE]
    assert len(trained) == 8
    assert refused
    assert {row.number for row in refused} & {row.number for row in log.reports} == set()
    assert all((row.latency_ms or 0) > 2.0 and "above the limit of 2 ms" in row.reason for row in refused)
    assert all(row.train_s == 0 and row.epochs == 0 for row in refused)
    assert all(0 < (row.latency_ms or 0) <= 2.0 for row in trained)
    assert all(row.latency_ms is not None for row in log.reports)
    assert all("latency_ms" in json.loads(row.objectives) for row in trained)
    assert audit(study, log.rows).differences == ()
    view = as_optuna_study(study, session.history)
    seen = {trial.number: trial.constraints for trial in view.trials}
    assert all(seen[row.number]["max_latency_ms"] > 0 for row in refused)
    again = study_from_definition(study.name, json.loads(json.dumps(study.definition())))
    assert again.fingerprint() == study.fingerprint()


def test_a_latency_that_nothing_meets_ends_the_search() -> None:
    study = two_objectives(latency=LatencyMode(), limits=Limits(max_latency_ms=0.001))
    session = Session(study, MemoryLog(), clock=Clock())
    for _ in range(49):
        assert measured(session, next_attempt(session), 1.0) is Decision.STOP
    with pytest.raises(RunFailedError, match="50 networks in a row were too slow"):
        measured(session, next_attempt(session), 1.0)


def test_limit_of_device_time_counts_all_sessions() -> None:
    log = MemoryLog()
    settings = SessionSettings(max_device_s=60)
    session = Session(a_study(), log, settings=settings, clock=Clock())
    while not session.limit_reached and (attempt := session.next_attempt()) is not None:
        play_attempt(session, attempt)
    assert 60 <= session.device_s < 60 + 30
    again = Session(a_study(), log, log.rows[:], settings=settings, clock=Clock())
    assert again.limit_reached
    assert again.device_s == pytest.approx(sum(row.device_s for row in log.trials), abs=len(log.trials))
    assert not Session(a_study(), log, log.rows[:], clock=Clock()).limit_reached


def test_wait_for_a_worker_takes_no_device_time() -> None:
    log, clock = MemoryLog(), Clock()
    session = Session(a_study(trials=1, asha=None), log, clock=clock)
    attempt = session.next_attempt()
    assert attempt is not None
    clock.now += timedelta(hours=1)  # until there is a worker
    assert session.device_s == 0.0
    session.take_worker(attempt.number)
    assert session.device_s < 60
    for epoch in range(1, 10):
        session.record_report(attempt.number, rising(attempt, epoch), WORKER)
    assert 0 < log.trials[0].device_s < 60
    killed = log.rows[: log.rows.index(log.reports[1])]
    assert 0 < Session(a_study(asha=None), MemoryLog(killed), killed, clock=Clock()).device_s < 60


def test_attempt_whose_worker_never_came_took_no_device_time() -> None:
    log = MemoryLog()
    session = a_session(log, a_study(trials=1))
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_failure(attempt.number, Failure.CRASHED, "its node went", worker=WorkerInfo())
    assert session.history.trials[0].held_s == session.device_s == 0.0
    assert not [
        row for row in log.rows if isinstance(row, EventRow) and row.kind is EventKind.ATTEMPT_STARTED
    ]


def test_limit_of_device_time_counts_what_an_interrupted_session_held() -> None:
    log, clock = MemoryLog(), Clock()
    settings = SessionSettings(max_device_s=60)
    session = Session(a_study(), log, settings=settings, clock=clock)
    attempt = session.next_attempt()
    assert attempt is not None
    session.take_worker(attempt.number)
    clock.now += timedelta(seconds=60)  # it has reported nothing yet
    assert session.limit_reached
    session.close(SessionEnd.FINISHED)
    again = Session(a_study(), log, log.rows[:], settings=settings, clock=Clock())
    assert again.limit_reached
    assert again.next_attempt() is not None  # counted once, in the next attempt too
    assert 60 <= again.device_s < 60 + 30


def searching_epochs(*parameters: Parameter) -> Study:
    return a_study(
        space=Space(*parameters, Float("learning_rate", 1e-4, 1.0, log=True)), sampler="random", trials=18
    )


SEARCHED_EPOCHS = searching_epochs(Choice("epochs", (1, 3, 9)))


def asked_epochs(params: str) -> int:
    epochs = params_from_json(params)["epochs"]
    assert isinstance(epochs, int)
    return epochs


def test_trial_that_ran_all_its_epochs_is_completed_though_they_end_at_a_rung() -> None:
    log = MemoryLog()
    play(a_session(log, SEARCHED_EPOCHS))
    asked = Counter(asked_epochs(trial.params) for trial in log.trials)
    assert min(asked[1], asked[3], asked[9]) >= 2
    last = {row.number: row for row in log.reports}
    for trial in log.trials:
        ran_all = trial.epochs == asked_epochs(trial.params)
        assert trial.state is (State.COMPLETED if ran_all else State.STOPPED)
        assert last[trial.number].decision is (None if ran_all else Decision.STOP)
        if ran_all:
            assert trial.reason in ("ran its only epoch", "ran all 3 epochs", "ran all 9 epochs")
    states = Counter(trial.state for trial in log.trials)
    assert states[State.STOPPED] >= 1
    assert states[State.COMPLETED] >= asked[1]


def test_sampler_audit_and_rungs_agree() -> None:
    log = MemoryLog()
    play(a_session(log, SEARCHED_EPOCHS))
    history = History.from_rows(SEARCHED_EPOCHS, log.rows)
    seen = Counter(trial.state for trial in as_optuna_study(SEARCHED_EPOCHS, history).trials)
    assert seen[TrialState.COMPLETE] == history.counts[State.COMPLETED]
    assert seen[TrialState.PRUNED] == history.counts[State.STOPPED]
    assert audit(SEARCHED_EPOCHS, log.rows).differences == ()
    assert len(history.rungs[1].values) == len(log.trials)  # short trials count there for the others


def test_killed_between_a_last_report_and_its_end_it_is_completed_by_the_next_run() -> None:
    whole, log = MemoryLog(), MemoryLog()
    play(a_session(whole, SEARCHED_EPOCHS))
    ended = next(t for t in whole.trials if t.epochs == asked_epochs(t.params) == 3)
    log.rows = whole.rows[: whole.rows.index(ended)]
    assert log.reports[-1].epoch == 3
    assert ended not in log.trials
    play(a_session(log, SEARCHED_EPOCHS))
    assert table(log) == table(whole)


def test_rungs_between_the_epochs_of_trials_still_stop() -> None:
    """Epochs 5 end at no rung: rungs 1 and 3 stop such trials as ever."""
    study = searching_epochs(Choice("epochs", (5, 9))).with_changes(
        asha=Asha(min_epochs=1, reduction_factor=3)
    )
    log = MemoryLog()
    play(a_session(log, study))
    assert {trial.epochs for trial in log.trials if trial.state is State.STOPPED} == {1, 3}
    assert {trial.epochs for trial in log.trials if trial.state is State.COMPLETED} <= {5, 9}
