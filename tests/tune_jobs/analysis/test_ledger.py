"""The ledger's parts of an attempt: preparing, the first step, an epoch under way. Played, without Ray."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from session_testing import WORKER, Clock, MemoryLog, a_study, rising

from tune_jobs.analysis.ledger import DATA, FIRST_STEP, IMPORTS, RAY, account
from tune_jobs.session.attempt import SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.events import SessionEnd, SessionStarted
from tune_jobs.study.rows import Failure

BEGUN = replace(WORKER, imports_s=5.0, data_s=7.0)


class Stopped(Clock):
    """Time passes when the test says so."""

    def __call__(self) -> object:  # type: ignore[override]  # the instant, as the parent's
        return self.now


def a_played(**changes: object) -> tuple[MemoryLog, Stopped, Session]:
    log, clock = MemoryLog(), Stopped()
    session = Session(
        a_study(trials=1, asha=None, **changes),
        log,
        settings=SessionSettings(started=SessionStarted(workers=1)),
        clock=clock,  # type: ignore[arg-type]  # see `Stopped`
    )
    return log, clock, session


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("interrupted", "unfinished"),
        ("raised", "failed"),
        ("crashed", "failed"),
    ],
)
@pytest.mark.parametrize("reports", [0, 1])
def test_an_epoch_under_way_is_training(end: str, expected: str, reports: int) -> None:
    """11 s for Ray, 5 for imports, 7 for data; an epoch of 40 s with a first step of 30; 25 s of another."""
    log, clock, session = a_played()
    attempt = session.next_attempt()
    assert attempt is not None
    clock.now += timedelta(seconds=11)
    session.take_worker(attempt.number)
    clock.now += timedelta(seconds=12)
    session.record_begin(attempt.number, BEGUN)
    for epoch in range(1, reports + 1):
        clock.now += timedelta(seconds=40)
        metrics = {**rising(attempt, epoch), "epoch_s": 40.0}
        session.record_report(attempt.number, metrics, WorkerInfo(first_step_s=30.0))
    clock.now += timedelta(seconds=25)
    if end == "interrupted":
        session.close(SessionEnd.INTERRUPTED)
    else:
        failure = Failure.RAISED if end == "raised" else Failure.CRASHED
        session.settings = SessionSettings(max_attempts=1, max_failed_in_a_row=9)
        session.record_failure(attempt.number, failure, "ValueError: x", worker=WorkerInfo())
        session.close(SessionEnd.FINISHED)
    spent = {name: seconds for name, seconds in account(log.rows).items() if seconds}
    first = {FIRST_STEP: 30.0} if reports else {}
    assert spent == {RAY: 11.0, IMPORTS: 5.0, DATA: 7.0, **first, expected: 25.0 + 10.0 * reports}


def test_what_follows_the_last_report_of_a_whole_trial_is_overhead() -> None:
    log, clock, session = a_played(recipe=a_study().recipe.with_changes(epochs=1))
    attempt = session.next_attempt()
    assert attempt is not None
    session.take_worker(attempt.number)
    clock.now += timedelta(seconds=12)
    session.record_begin(attempt.number, BEGUN)
    clock.now += timedelta(seconds=43)  # 40 of training, 3 of saving
    session.record_report(attempt.number, {**rising(attempt, 1), "epoch_s": 40.0}, WorkerInfo())
    session.close(SessionEnd.FINISHED)
    spent = {name: seconds for name, seconds in account(log.rows).items() if seconds}
    assert spent == {IMPORTS: 5.0, DATA: 7.0, "completed": 40.0, "overhead": 3.0}


def test_seconds_of_an_attempt_that_never_began_are_start_up() -> None:
    log, clock, session = a_played()
    attempt = session.next_attempt()
    assert attempt is not None
    session.take_worker(attempt.number)
    clock.now += timedelta(seconds=50)
    session.close(SessionEnd.INTERRUPTED)
    assert account(log.rows) == {RAY: 50.0, IMPORTS: 0.0, DATA: 0.0, "overhead": 0.0, "idle": 0.0}


def test_measuring_a_latency_is_overhead_and_what_follows_is_told_at_the_end() -> None:
    log, clock, session = a_played()
    attempt = session.next_attempt()
    assert attempt is not None
    session.take_worker(attempt.number)
    clock.now += timedelta(seconds=8)
    session.record_latency(attempt.number, 1.0, replace(WORKER, imports_s=5.0, latency_s=3.0))
    clock.now += timedelta(seconds=7)
    session.record_begin(attempt.number, replace(BEGUN, latency_s=3.0))
    clock.now += timedelta(seconds=10)
    session.record_report(attempt.number, {**rising(attempt, 1), "epoch_s": 10.0}, WorkerInfo())
    session.close(SessionEnd.INTERRUPTED)
    spent = {name: seconds for name, seconds in account(log.rows).items() if seconds}
    assert spent == {IMPORTS: 5.0, "overhead": 3.0, DATA: 7.0, "unfinished": 10.0}
