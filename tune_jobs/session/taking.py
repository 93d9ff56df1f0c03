"""Passes the messages of attempts to a session, and warns of what they say beside it.

The driver of a run on Ray (`tune_jobs.on_ray.bridge`) and a run in one process (`tune_jobs.worker.inline`)
both take messages here, so that they record alike.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import assert_never

from tune_jobs.errors import RunFailedError
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import (
    AttemptFailed,
    EpochReported,
    LatencyMeasured,
    Message,
    TrainingBegan,
    TrainingReturned,
    WorkerUnusable,
)
from tune_jobs.session.state_machine import Session
from tune_jobs.study.rows import Decision

LOG = logging.getLogger("tune_jobs.run")


class MessageTaker:
    """Takes the messages of one run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._reported_unsaved: set[str] = set()
        self._warned_of_others: set[str | None] = set()
        self._advised: set[str] = set()

    def take(self, number: int, message: Message, worker: WorkerInfo, *, more: bool = False) -> Decision:
        """Record a message of a trial's attempt; STOP if the attempt ends with it.

        Args:
            worker: the facts of the message about its worker, and those that the driver adds.
            more: whether the attempt's next message is recorded before anything else happens.

        Raises:
            RunFailedError: no worker can train the study, or too many trials have failed one after the other.
        """
        _warn_of_passed_over(number, worker)
        match message:
            case LatencyMeasured(latency_ms=latency_ms):
                return self._session.record_latency(number, latency_ms, worker)
            case TrainingBegan():
                self._warn_of_others(number, worker)
                return self._session.record_begin(number, worker, more=more)
            case EpochReported(metrics=metrics, unsaved=unsaved, own=own):
                self._warn_of_unsaved(number, unsaved)
                self._advise(number, message.advice)
                return self._session.record_report(number, metrics, worker, own=own, more=more)
            case AttemptFailed(failure=failure, error=error):
                self._session.record_failure(number, failure, error, worker=worker)
            case TrainingReturned():
                self._session.record_end(number, worker)
            case WorkerUnusable(error=error):
                raise RunFailedError(f"a worker cannot train this study: {error}")
            case _:
                assert_never(message)
        return Decision.STOP

    def _warn_of_others(self, number: int, worker: WorkerInfo) -> None:
        """Warn once per node that other processes use a GPU that Ray has given to a trial alone."""
        if not worker.others_bytes or worker.hostname in self._warned_of_others:
            return
        self._warned_of_others.add(worker.hostname)
        LOG.warning(
            "other processes hold %.1f GB of the GPU of trial %d (%s); the trial has less memory, and takes"
            " longer while they compute",
            worker.others_bytes / 1e9,
            number,
            worker.hostname or worker.node,
        )

    def _warn_of_unsaved(self, number: int, unsaved: Mapping[str, str]) -> None:
        """Warn once per run of each kind of file that could not be saved: a disk is full for every trial."""
        for kind, reason in unsaved.items():
            if kind not in self._reported_unsaved:
                LOG.warning("trial %d continues, but its %s could not be saved: %s", number, kind, reason)
            self._reported_unsaved.add(kind)

    def _advise(self, number: int, advice: str | None) -> None:
        """Pass each sentence for the author of the training function on once per run: all trials run it."""
        if advice is not None and advice not in self._advised:
            self._advised.add(advice)
            LOG.warning("trial %d: %s", number, advice)


def _warn_of_passed_over(number: int, worker: WorkerInfo) -> None:
    """Warn that a trial trains some epochs again, because its newest checkpoint cannot be used."""
    if worker.passed_over is None:
        return
    epoch = worker.resumed_from_epoch
    how = f"is resumed from the older epoch {epoch}" if epoch else "starts again from its first epoch"
    LOG.warning("trial %d %s: %s", number, how, worker.passed_over)
