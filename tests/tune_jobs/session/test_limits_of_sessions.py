"""A session under limits that only a run can meet: latency, which a worker measures, and device time."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from session_testing import (
    WORKER,
    Clock,
    MemoryLog,
    a_session,
    a_study,
    play_attempt,
    rising,
)
from two_objectives import two_objectives, wide_is_better

from tune_jobs.analysis.audit import audit
from tune_jobs.errors import RunFailedError
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.session.attempt import Attempt, SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.method import LatencyMode, Limits
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import (
    Decision,
    EventKind,
    EventRow,
    Failure,
    State,
)
from tune_jobs.study.stored import study_from_definition


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
