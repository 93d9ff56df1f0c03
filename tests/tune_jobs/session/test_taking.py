"""The messages of attempts, taken by a session, and the warnings that come with them."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from session_testing import WORKER, MemoryLog, a_session

from tune_jobs.errors import RunFailedError
from tune_jobs.session.messages import (
    AttemptFailed,
    EpochReported,
    TrainingBegan,
    TrainingReturned,
    WorkerUnusable,
)
from tune_jobs.session.taking import MessageTaker
from tune_jobs.study.rows import Decision, Failure, State

METRICS = {"epoch": 1, "val_accuracy": 0.5, "train_loss": 1.0, "epoch_s": 1.0, "elapsed_s": 1.0}


def test_each_message_is_recorded_and_answered() -> None:
    log = MemoryLog()
    session = a_session(log)
    taker = MessageTaker(session)
    attempt = session.next_attempt()
    assert attempt
    number = attempt.number
    assert taker.take(number, TrainingBegan(worker=WORKER), WORKER) is Decision.CONTINUE
    report = EpochReported(metrics=METRICS, unsaved={}, worker=WORKER)
    assert taker.take(number, report, WORKER) is Decision.CONTINUE
    assert taker.take(number, TrainingReturned(worker=WORKER), WORKER) is Decision.STOP
    assert [(trial.state, trial.epochs) for trial in log.trials] == [(State.COMPLETED, 1)]


def test_a_failure_ends_the_attempt_and_an_unusable_worker_the_run() -> None:
    log = MemoryLog()
    session = a_session(log)
    taker = MessageTaker(session)
    attempt = session.next_attempt()
    assert attempt
    failed = AttemptFailed(failure=Failure.RAISED, error="ValueError: x", worker=WORKER)
    assert taker.take(attempt.number, failed, WORKER) is Decision.STOP
    assert log.trials[0].failure is Failure.RAISED
    with pytest.raises(RunFailedError, match="a worker cannot train this study: no data"):
        taker.take(1, WorkerUnusable(error="no data", worker=WORKER), WORKER)


def test_what_could_not_be_saved_is_said_once_for_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    session = a_session(MemoryLog())
    taker = MessageTaker(session)
    attempt = session.next_attempt()
    assert attempt
    for epoch in (1, 2):
        metrics = {**METRICS, "epoch": epoch}
        unsaved = {"checkpoint": "No space left on device"}
        with caplog.at_level(logging.WARNING):
            taker.take(attempt.number, EpochReported(metrics=metrics, unsaved=unsaved, worker=WORKER), WORKER)
    assert caplog.text.count("but its checkpoint could not be saved: No space left on device") == 1


def test_a_gpu_that_strangers_use_too_is_said_once_per_node(caplog: pytest.LogCaptureFixture) -> None:
    session = a_session(MemoryLog())
    taker = MessageTaker(session)
    for host in ("n1", "n1", "n2"):
        attempt = session.next_attempt()
        assert attempt
        worker = replace(WORKER, hostname=host, others_bytes=31 * 10**9)
        with caplog.at_level(logging.WARNING):
            taker.take(attempt.number, TrainingBegan(worker=worker), worker)
    said = [record.getMessage() for record in caplog.records if "other processes" in record.getMessage()]
    assert len(said) == 2
    assert said[0].startswith("other processes hold 31.0 GB of the GPU of trial 0 (n1)")
