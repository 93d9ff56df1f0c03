"""Audits recompute what rows say; definitions lead back to their studies; the ledger adds up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from session_testing import WORKER, Clock, MemoryLog, a_study, play, play_attempt, rising

from tune_jobs.analysis.audit import audit
from tune_jobs.analysis.ledger import RAY, account
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.report.ledger import ledger
from tune_jobs.session.attempt import SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd, SessionStarted
from tune_jobs.study.method import LatencyMode, Limits
from tune_jobs.study.rows import Decision, EventKind, EventRow, Failure, ReportRow, Row, StartRow, State
from tune_jobs.study.stored import study_from_definition


def played(cut: int | None = None, **changes: object) -> MemoryLog:
    """The rows of a study; with `cut` its first session was killed after so many rows."""
    log = MemoryLog()
    settings = SessionSettings(started=SessionStarted(workers=1))
    clock = Clock()
    session = Session(a_study(**changes), log, settings=settings, clock=clock)
    play(session)
    if cut is not None:
        log = MemoryLog(log.rows[:cut])
        session = Session(a_study(**changes), log, log.rows[:], settings=settings, clock=clock)
        play(session)
    session.close(SessionEnd.FINISHED)
    return log


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("cut", [None, 7, 20, 41])
def test_rows_of_a_session_pass_their_audit(sampler: str, cut: int | None) -> None:
    log = played(cut, sampler=sampler)
    result = audit(a_study(sampler=sampler), log.rows)
    assert result.differences == ()
    assert result.num_proposals == len(log.trials) == 16
    assert result.num_decisions == sum(report.decision is not None for report in log.reports) > 10


def test_a_trial_counts_as_one_proposal_however_many_attempts_it_took() -> None:
    study = a_study(limits=Limits(max_latency_ms=1.0), latency=LatencyMode(), trials=1)
    log = MemoryLog()
    for latency_ms in (0.5, 0.5, 2.0):
        session = Session(study, log, log.rows[:], clock=Clock())
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_latency(attempt.number, latency_ms, WORKER)
    assert [row.attempt for row in log.starts] == [1, 2, 3]
    assert [row.state for row in log.trials] == [State.INFEASIBLE]
    assert audit(study, log.rows).num_proposals == 1


def other_params(row: Row) -> Row | None:
    if isinstance(row, StartRow) and row.number == 12:
        return replace(row, params='{"learning_rate":0.5,"optimizer":"sgd"}')
    return None


def other_decision(row: Row) -> Row | None:
    if isinstance(row, ReportRow) and row.decision is Decision.STOP and row.epoch == 1:
        return replace(row, decision=Decision.CONTINUE)
    return None


@pytest.mark.parametrize("change", [other_params, other_decision])
def test_changed_row_is_found(change: Callable[[Row], Row | None]) -> None:
    rows = played().rows
    index, changed = next((i, new) for i, row in enumerate(rows) if (new := change(row)) is not None)
    result = audit(a_study(), [*rows[:index], changed, *rows[index + 1 :]])
    assert result.differences
    assert result.differences[0].startswith(f"row {changed.seq}: trial ")


@pytest.mark.parametrize("name", SHIPPED)
def test_definition_leads_back_to_the_study(name: str) -> None:
    study = SHIPPED[name]()
    again = study_from_definition(study.name, study.definition())
    assert again.definition() == study.definition()
    assert again.space == study.space


def test_definition_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="has version 99, this program reads version 1 alone"):
        study_from_definition("x", {**a_study().definition(), "version": 99})


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
    assert seconds[RAY] < 20 + 50 * (end == "interrupted")  # held until the end, and it did not say it began
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


def test_study_type_is_what_the_definition_gives() -> None:
    assert isinstance(study_from_definition("played", a_study().definition()), Study)
