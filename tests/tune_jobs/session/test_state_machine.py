"""A session: what it hands out, records and decides, and that a rebuilt one goes on the same."""

from __future__ import annotations

import math

import pytest
from optuna.trial import TrialState
from session_testing import WORKER, Clock, MemoryLog, Metrics, a_study, play, play_attempt, rising, table

from tune_jobs.errors import RunFailedError
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.session.attempt import Attempt, SessionSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.method import LatencyMode, Limits
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import Decision, EventKind, EventRow, Failure, State, TrialRow
from tune_jobs.study.space import Float, Integer, Space


def a_session(log: MemoryLog, **changes: object) -> Session:
    return Session(a_study(**changes), log, log.rows[:], clock=Clock())


def test_study_ends_with_every_trial_in_a_terminal_row_with_a_reason() -> None:
    log = MemoryLog()
    session = a_session(log)
    play(session)
    assert session.finished
    assert [row.number for row in sorted(log.trials, key=lambda t: t.number)] == list(range(16))
    assert {row.state for row in log.trials} == {State.COMPLETED, State.STOPPED}
    assert all(row.reason for row in log.trials)
    assert all(row.objective is not None for row in log.trials)


def test_rows_stand_before_what_follows_from_them() -> None:
    log = MemoryLog()
    play(a_session(log))
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


def test_stopped_trials_are_told_to_optuna_as_pruned_with_all_their_reports() -> None:
    log = MemoryLog()
    study = a_study()
    play(Session(study, log, clock=Clock()))
    told = as_optuna_study(study, History.from_rows(study, log.rows)).trials
    stopped = {row.number: row for row in log.trials if row.state is State.STOPPED}
    assert stopped
    for number, row in stopped.items():
        trial = told[number]
        assert trial.state is TrialState.PRUNED
        reports = {r.epoch: r.val_accuracy for r in log.reports if r.number == number}
        assert trial.intermediate_values == reports
        assert max(trial.intermediate_values) == row.epochs
    complete = {t.number for t in told if t.state is TrialState.COMPLETE}
    assert complete == {row.number for row in log.trials if row.state is State.COMPLETED}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_session_cut_off_after_any_row_ends_with_the_same_table(sampler: str) -> None:
    whole = MemoryLog()
    play(a_session(whole, sampler=sampler))
    for cut in range(0, len(whole.rows), 3):
        log = MemoryLog(whole.rows[:cut])
        play(a_session(log, sampler=sampler))
        assert table(log) == table(whole), f"cut after row {cut}"


def test_second_attempt_of_a_decided_rung_hears_the_same_decision() -> None:
    log = MemoryLog()
    play(a_session(log))
    decided = next(r for r in log.reports if r.decision is Decision.CONTINUE)
    cut = MemoryLog([row for row in log.rows if row.seq <= decided.seq])
    play(a_session(cut))
    again = [r for r in cut.reports if (r.number, r.epoch) == (decided.number, decided.epoch)]
    assert [r.attempt for r in again] == [1, 2]
    assert again[1].decision_reason == decided.decision_reason


def test_trial_whose_last_report_was_decided_is_ended_by_the_next_session() -> None:
    log = MemoryLog()
    play(a_session(log))
    deciding = next(r for r in log.reports if r.decision is Decision.STOP)
    cut = MemoryLog([row for row in log.rows if row.seq <= deciding.seq])
    a_session(cut)
    assert [(t.number, t.state) for t in cut.trials if t.number == deciding.number] == [
        (deciding.number, State.STOPPED)
    ]


def test_extending_a_study_adds_trials_and_repeats_none() -> None:
    log = MemoryLog()
    play(a_session(log, trials=5))
    play(a_session(log, trials=9))
    assert [row.number for row in log.starts] == list(range(9))
    extended, at_once = table(log), MemoryLog()
    play(a_session(at_once, trials=9))
    assert extended == table(at_once)


def test_finished_study_writes_nothing() -> None:
    log = MemoryLog()
    play(a_session(log))
    before = len(log.rows)
    assert a_session(log).finished
    assert len(log.rows) == before


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
    session = a_session(log)
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
        fail_all(a_session(log), Failure.RAISED)
    assert len(log.trials) == 5


def test_divergence_does_not_count_as_a_failure_in_a_row() -> None:
    log = MemoryLog()
    fail_all(a_session(log), Failure.DIVERGED)
    assert [row.state for row in log.trials] == [State.FAILED] * 16


def test_crash_is_tried_again_until_the_attempts_are_spent() -> None:
    log = MemoryLog()
    session = Session(a_study(trials=1), log, settings=SessionSettings(max_attempts=3), clock=Clock())
    fail_all(session, Failure.CRASHED)
    assert [row.attempt for row in log.starts] == [1, 2, 3]
    (trial,) = log.trials
    assert (trial.state, trial.attempt) == (State.FAILED, 3)
    assert "attempt 3 crashed" in trial.reason


def test_a_lost_driver_costs_no_attempt() -> None:
    log = MemoryLog()
    for epoch in (1, 2, 3, 4):
        session = a_session(log, trials=1, asha=None)
        attempt = session.next_attempt()
        assert attempt is not None
        assert session.record_report(attempt.number, rising(attempt, epoch), WORKER) is Decision.CONTINUE
    session.record_failure(0, Failure.CRASHED, "ValueError: no", worker=WORKER)
    fail_all(session, Failure.CRASHED)
    assert [row.attempt for row in log.starts] == [1, 2, 3, 4, 5, 6]
    (trial,) = log.trials
    assert (trial.state, trial.reason) == (State.FAILED, "attempt 6 crashed: ValueError: no")


def test_crashes_are_counted_across_drivers() -> None:
    log = MemoryLog()
    for _ in range(3):
        session = a_session(log, trials=1, asha=None)
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_failure(attempt.number, Failure.HUNG, "silent", worker=WORKER)
    assert [row.state for row in log.trials] == [State.FAILED]
    assert session.history.trials == History.from_rows(a_study(), log.rows).trials


def test_trial_gets_larger_shares_up_to_a_whole_gpu_and_these_are_no_crashes() -> None:
    log = MemoryLog()
    settings = SessionSettings(max_attempts=2)
    session = Session(a_study(trials=1), log, settings=settings, clock=Clock())
    ways = [*[Failure.OUT_OF_SHARE] * 3, Failure.CRASHED, Failure.CRASHED]  # an eighth at first
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
    assert [row.failure for row in log.trials] == ([] if failure is Failure.OUT_OF_SHARE else [failure])


def test_crashed_trial_that_recovers_completes_with_each_epoch_once() -> None:
    log = MemoryLog()
    session = a_session(log, trials=1, asha=None)
    attempt = session.next_attempt()
    assert attempt is not None
    for epoch in (1, 2, 3):
        session.record_report(attempt.number, rising(attempt, epoch), WORKER)
    session.record_failure(attempt.number, Failure.CRASHED, "the worker died", worker=WORKER)
    again = session.next_attempt()
    assert again is not None
    assert again.recipe == attempt.recipe
    for epoch in range(3, 10):  # gone on with from a checkpoint after epoch 2
        session.record_report(again.number, rising(again, epoch), WORKER)
    (trial,) = log.trials
    assert (trial.state, trial.epochs, trial.attempt) == (State.COMPLETED, 9, 2)
    assert [r.epoch for r in session.history.trials[0].reports] == list(range(1, 10))


def measured() -> Study:
    """Latency is an objective, and limited to a millisecond."""
    objectives = (Objective(), Objective(metric="latency_ms"))
    limits = Limits(max_latency_ms=1.0)
    return a_study(latency=LatencyMode(), objectives=objectives, limits=limits, trials=1, asha=None)


def test_noise_of_a_later_measurement_undoes_nothing_that_was_trained() -> None:
    log = MemoryLog()
    for latency_ms, epochs in ((0.99, range(1, 9)), (1.01, range(9, 10))):
        session = Session(measured(), log, log.rows[:], clock=Clock())
        attempt = session.next_attempt()
        assert attempt is not None
        assert session.record_latency(attempt.number, latency_ms, WORKER) is Decision.CONTINUE
        for epoch in epochs:
            session.record_report(attempt.number, rising(attempt, epoch), WORKER)
    (trial,) = log.trials
    assert (trial.state, trial.epochs, trial.latency_ms) == (State.COMPLETED, 9, 0.99)
    assert {row.latency_ms for row in log.reports} == {0.99}
    assert session.history.trials[0].point == (trial.objective, 0.99)


def test_a_trial_that_has_not_reported_is_measured_anew() -> None:
    log = MemoryLog()
    for latency_ms, decision in ((0.99, Decision.CONTINUE), (1.01, Decision.STOP)):
        session = Session(measured(), log, log.rows[:], clock=Clock())
        attempt = session.next_attempt()
        assert attempt is not None
        assert session.record_latency(attempt.number, latency_ms, WORKER) is decision
    (trial,) = log.trials
    assert (trial.state, trial.latency_ms) == (State.INFEASIBLE, 1.01)


def test_an_end_that_a_kill_prevented_has_the_latency_too() -> None:
    whole = MemoryLog()
    session = Session(measured(), whole, clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_latency(attempt.number, 0.5, WORKER)
    play_attempt(session, attempt)
    log = MemoryLog([row for row in whole.rows if row.seq <= whole.reports[-1].seq])
    Session(measured(), log, log.rows[:], clock=Clock())
    assert [row.latency_ms for row in log.trials] == [row.latency_ms for row in whole.trials] == [0.5]


def test_function_that_returns_early_completes_the_trial_and_says_so() -> None:
    log = MemoryLog()
    session = a_session(log, trials=1, asha=None)
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_report(attempt.number, rising(attempt, 1), WORKER)
    session.record_end(attempt.number, WORKER)
    (trial,) = log.trials
    assert (trial.state, trial.epochs) == (State.COMPLETED, 1)
    assert "returned after epoch 1 of 9" in trial.reason


def test_function_that_returns_without_a_report_fails() -> None:
    log = MemoryLog()
    session = a_session(log, trials=1)
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_end(attempt.number, WORKER)
    assert log.trials[0].state is State.FAILED


def mobilenets(**limits: int) -> dict[str, object]:
    study = a_study()
    recipe = study.recipe.with_changes(model="mobilenet", dataset="cifar10")
    space = Space(Float("width_mult", 0.25, 2.0), Integer("expansion", 1, 8))
    return {"recipe": recipe, "space": space, "limits": Limits(**limits)}


def test_proposal_beyond_a_limit_is_a_row_and_never_an_attempt() -> None:
    log = MemoryLog()
    session = a_session(log, **mobilenets(max_macs=60_000_000))
    play(session, lambda attempt, epoch: {"epoch": epoch, "val_accuracy": 0.5})
    refused = [row for row in log.trials if row.state is State.INFEASIBLE]
    trained = [row for row in log.trials if row.state is not State.INFEASIBLE]
    assert refused
    assert len(trained) == 16
    assert {row.number for row in refused}.isdisjoint(row.number for row in log.starts)
    assert all((row.macs or 0) > 60_000_000 and row.device_s == 0 and row.attempt == 0 for row in refused)
    assert all((row.macs or 0) <= 60_000_000 for row in trained)
    assert "above the limit of 60,000,000" in refused[0].reason


def test_limit_that_nothing_meets_ends_the_search() -> None:
    session = a_session(MemoryLog(), **mobilenets(max_macs=1))
    told = r"1,000 proposals in a row were refused: 1,000 by max_macs 1; the nearest miss .* raise --max-macs"
    with pytest.raises(RunFailedError, match=told):
        session.next_attempt()


def test_events_tell_when_attempts_began_and_ended() -> None:
    log = MemoryLog()
    session = a_session(log, trials=2)
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
    session = a_session(log)
    first, second = session.next_attempt(), session.next_attempt()
    assert isinstance(first, Attempt)
    assert isinstance(second, Attempt)
    assert session.live_numbers == (first.number, second.number) == (0, 1)
    play_attempt(session, second)
    assert session.live_numbers == (0,)
    assert [row.number for row in log.rows if isinstance(row, TrialRow)] == [1]
