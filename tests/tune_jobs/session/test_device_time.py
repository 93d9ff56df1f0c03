"""What a trial holds of a device, from when to when, and the limit on it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from session_testing import WORKER, Clock, MemoryLog, a_session, a_study, play_attempt, rising

from tune_jobs.session.attempt import SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.rows import EventKind, EventRow, Failure


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
