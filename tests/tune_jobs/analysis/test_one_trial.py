"""The facts about one trial, and the trials without an end, from rows alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from session_testing import Clock, MemoryLog, a_study, rising

from eml_models.errors import InvalidValueError
from tune_jobs.analysis.one_trial import facts_of, last_failed, list_unfinished
from tune_jobs.session.attempt import SessionSettings, WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.rows import Failure, State

WORKER = WorkerInfo(node="10.0.0.1", device="cpu: x", pid=7)
STUDY = a_study(trials=4, asha=None)


@pytest.fixture
def log() -> MemoryLog:
    """Trial 0 completes in its second attempt, 1 raises, 2 has reported twice, 3 waits for a worker."""
    log = MemoryLog()
    session = Session(STUDY, log, clock=Clock(), settings=SessionSettings(max_attempts=2))
    first, second = session.next_attempt(), session.next_attempt()
    assert first
    assert second
    session.record_report(0, rising(first, 1), WORKER)
    session.record_failure(0, Failure.CRASHED, "the worker died", worker=WorkerInfo())
    again = session.next_attempt()
    assert again
    assert (again.number, again.attempt) == (0, 2)
    later = replace(WORKER, pid=8, resumed_from_epoch=1)
    for epoch in range(2, again.recipe.epochs + 1):
        session.record_report(0, rising(again, epoch), later)
    session.record_failure(1, Failure.RAISED, "ValueError: no layer", worker=WORKER)
    third = session.next_attempt()
    assert third
    for epoch in (1, 2):
        session.record_report(2, rising(third, epoch), WORKER)
    session.next_attempt()
    return log


def test_a_trial_has_all_its_attempts_and_each_epoch_once(log: MemoryLog) -> None:
    facts = facts_of(log.rows, 0, study="s")
    assert facts.end is not None
    assert facts.end.state is State.COMPLETED
    assert [report.epoch for report in facts.reports] == list(range(1, facts.end.epochs + 1))
    first, second = facts.attempts
    assert (first.attempt, first.pid, first.how) == (1, 7, "attempt 1 crashed: the worker died")
    assert (second.attempt, second.pid, second.resumed_from_epoch, second.how) == (2, 8, 1, "completed")
    assert set(facts.params) == set(STUDY.space.names)
    assert facts.recipe is not None
    assert facts.recipe["epochs"] == facts.end.epochs


def test_a_trial_that_waits_for_a_worker_has_no_place_yet(log: MemoryLog) -> None:
    (attempt,) = facts_of(log.rows, 3, study="s").attempts
    assert (attempt.node, attempt.pid, attempt.resumed_from_epoch, attempt.how) == (None, None, None, None)


@pytest.mark.parametrize(
    ("num_rows", "says"), [(None, "study 's' has no trial 9; it has 0 to 3"), (0, "it has none yet")]
)
def test_an_unknown_trial_is_refused_with_the_known(log: MemoryLog, num_rows: int | None, says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        facts_of(log.rows[:num_rows], 9, study="s")


def test_trials_without_an_end_have_their_newest_report(log: MemoryLog) -> None:
    reported, waiting = list_unfinished(log.rows)
    assert reported.last is not None
    assert (reported.number, reported.attempt, reported.last.epoch) == (2, 1, 2)
    assert reported.epochs == STUDY.recipe.epochs
    assert (waiting.number, waiting.last) == (3, None)


def test_an_attempt_may_be_cut_short_with_its_run() -> None:
    log = MemoryLog()
    session = Session(STUDY, log, clock=Clock())
    attempt = session.next_attempt()
    assert attempt
    session.record_begin(0, WORKER)
    session.close(SessionEnd.INTERRUPTED)
    (cut_short,) = facts_of(log.rows, 0, study="s").attempts
    assert cut_short.how == "cut short with its run"


def test_the_trial_that_failed_last(log: MemoryLog) -> None:
    failed = last_failed(log.rows)
    assert failed is not None
    assert failed.number == 1
    assert last_failed([]) is None
