"""The ledger adds up, and divides each attempt into its classes. Played in this process, without Ray."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from session_testing import WORKER, Clock, MemoryLog, a_study, play_attempt, played, rising

from tune_jobs.analysis.ledger import DATA, FIRST_STEP, IMPORTS, PROCESS, WORKERS, account
from tune_jobs.report.ledger import ledger
from tune_jobs.session.attempt import SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.events import SessionEnd, SessionStarted
from tune_jobs.study.rows import EventKind, EventRow, Failure, Row

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
    assert spent == {WORKERS: 11.0, IMPORTS: 5.0, DATA: 7.0, **first, expected: 25.0 + 10.0 * reports}


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
    assert account(log.rows) == {WORKERS: 50.0, IMPORTS: 0.0, DATA: 0.0, "overhead": 0.0, "idle": 0.0}


def test_measuring_a_latency_is_overhead_and_what_follows_is_recorded_at_the_end() -> None:
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


@pytest.mark.parametrize("cut", [None, 7, 20, 41])
def test_ledger_adds_up_to_workers_times_wall_time(cut: int | None) -> None:
    log = played(cut)
    seconds = account(log.rows)
    assert all(value >= 0 for value in seconds.values())
    assert sum(seconds.values()) == pytest.approx(wall_s(log.rows))
    resumed = any(row.attempt > 1 for row in log.starts)
    assert (seconds["redone"] > 0) == resumed
    trained = sum(report.epoch_s or 0 for report in log.reports)
    assert seconds["completed"] + seconds["stopped"] <= trained
    assert ledger(log.rows).title == f"where {wall_s(log.rows):.1f} worker-seconds went"


def test_ledger_counts_idle_workers() -> None:
    log = played()
    first = log.rows[0]
    assert isinstance(first, EventRow)
    rows = [replace(first, detail='{"workers":3}'), *log.rows[1:]]
    assert account(rows)["idle"] >= 2 * 0.9 * wall_s(rows)


@pytest.mark.parametrize("end", ["trained", "interrupted", "its node went"])
def test_ledger_counts_an_attempt_from_when_it_has_a_worker(end: str) -> None:
    log, clock = MemoryLog(), Clock()
    session = Session(a_study(trials=2, asha=None), log, clock=clock)
    first, second = session.next_attempt(), session.next_attempt()
    assert first is not None
    assert second is not None
    session.take_worker(first.number)
    for epoch in range(1, first.recipe.epochs + 1):
        clock.now += timedelta(seconds=100)
        session.record_report(first.number, {**rising(first, epoch), "epoch_s": 100.0}, WORKER)
    if end == "its node went":  # before it had a worker
        session.record_failure(second.number, Failure.CRASHED, "lost", worker=WorkerInfo())
    else:
        session.take_worker(second.number)
    if end == "trained":
        play_attempt(session, second)
    clock.now += timedelta(seconds=50)
    session.close(SessionEnd.INTERRUPTED)
    seconds = account(log.rows)
    assert sum(seconds.values()) == pytest.approx(wall_s(log.rows))  # of one worker
    assert seconds["completed"] == 900 + 9 * (end == "trained")
    assert seconds[WORKERS] < 20 + 50 * (
        end == "interrupted"
    )  # held until the end, and it did not say it began
    assert (seconds["idle"] >= 50) == (end != "interrupted")


def wall_s(rows: list[Row]) -> float:
    """Seconds of all sessions, each from its first row to its last."""
    spans: list[tuple[timedelta, timedelta]] = []
    for row in rows:
        at = next(
            getattr(row, n)
            for n in ("started_at", "reported_at", "ended_at", "happened_at")
            if hasattr(row, n)
        )
        if isinstance(row, EventRow) and row.kind is EventKind.SESSION_STARTED:
            spans.append((at, at))
        spans[-1] = (spans[-1][0], max(spans[-1][1], at))
    return sum((end - start).total_seconds() for start, end in spans)


@pytest.mark.parametrize(("node", "name"), [(None, PROCESS), ("10.0.0.1", WORKERS)])
def test_a_run_in_one_process_has_no_workers_to_start(node: str | None, name: str) -> None:
    log, clock, session = a_played()
    attempt = session.next_attempt()
    assert attempt is not None
    clock.now += timedelta(seconds=11)
    session.take_worker(attempt.number)
    session.record_begin(attempt.number, replace(BEGUN, node=node))
    spent = account(log.rows)
    assert spent[name] == 11.0
    assert sum(spent.get(part, 0.0) for part in (PROCESS, WORKERS)) == 11.0
