"""Builds the rows that a session writes. Decides nothing.

A row gets its instant from the session's clock and its names and numbers from the attempt. The metrics of a
report have passed `report_checks`. Called by `state_machine` and `resume`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from tune_jobs.feasible.own_cost import OwnCost, TrialCost
from tune_jobs.search.asha import Verdict
from tune_jobs.search.records import TrialRecord
from tune_jobs.session.attempt import LiveAttempt, Provenance
from tune_jobs.session.own_reports import own_metrics_text, same_columns
from tune_jobs.session.report_checks import metric_columns
from tune_jobs.study.definition import Study
from tune_jobs.study.events import AttemptEnded, AttemptInterrupted, AttemptStarted, Detail, detail_as_json
from tune_jobs.study.rows import (
    Decision,
    EventRow,
    Failure,
    ReportRow,
    Row,
    StartRow,
    State,
    TrialRow,
    as_json_text,
    trial_id,
)


class RowLog(Protocol):
    """Takes the rows of a session, as a store's writer does. When `append_many` returns, the rows carry their
    `seq` and are durable. With `more` they become durable with the next rows, which follow at once."""

    def append_many(self, rows: Sequence[Row], *, more: bool = False) -> list[Row]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a trial ends: its state and the reason in words; of a failed trial also the kind and the error."""

    state: State
    reason: str
    failure: Failure | None = None
    error: str | None = None


class RowBuilder:
    """Rows of one session of one study."""

    def __init__(self, study: Study, provenance: Provenance, clock: Callable[[], datetime]) -> None:
        self._study, self._provenance, self._clock = study, provenance, clock
        self._session = uuid.uuid4().hex[:12]

    def start(
        self, live: LiveAttempt, params: str, *, history_seq: int, origin: str | None = None
    ) -> StartRow:
        """The start of an attempt; `origin` names the other studies whose trials its sampler saw."""
        attempt = live.attempt
        return StartRow(
            study=self._study.name,
            trial_id=attempt.trial_id,
            number=attempt.number,
            attempt=attempt.attempt,
            history_seq=history_seq,
            params=params,
            recipe=attempt.recipe_text,
            seed=attempt.recipe.seed,
            warm_started_from=origin,
            started_at=live.handed_out_at,
        )

    def refused(
        self, number: int, params: str, *, seed: int, cost: TrialCost, reason: str, history_seq: int
    ) -> TrialRow:
        """The end of a proposal that a limit refuses: never trained, zero seconds."""
        return TrialRow(
            **self._known_of(number, cost, seed),
            attempt=0,
            history_seq=history_seq,
            state=State.INFEASIBLE,
            reason=reason,
            params=params,
            metrics=_metrics_of_cost(cost),
            ended_at=self._clock(),
        )

    def report(
        self,
        live: LiveAttempt,
        metrics: Mapping[str, object],
        verdict: Verdict | None,
        *,
        history_seq: int,
        own: Mapping[str, object],
    ) -> ReportRow:
        """The report of an epoch, with the decision of its rung; `own` has the metrics of own training."""
        metrics_of_row: dict[str, Any] = metric_columns(metrics)  # each has the type of its column
        if isinstance(live.cost, OwnCost):
            metrics_of_row |= {**same_columns(own), "metrics": own_metrics_text(own, live.cost)}
        return ReportRow(
            study=self._study.name,
            trial_id=live.attempt.trial_id,
            number=live.attempt.number,
            attempt=live.attempt.attempt,
            epoch=live.last_epoch,
            **metrics_of_row,
            decision=verdict.decision if verdict else None,
            decision_reason=verdict.reason if verdict else None,
            history_seq=history_seq if verdict else None,
            reported_at=self._clock(),
            latency_ms=live.latency_ms,
        )

    def attempt_started(self, live: LiveAttempt) -> EventRow:
        """The first message of a worker. `duration_s` counts from handing out, and `waited_s` is the part of
        it until a worker got the attempt."""
        worker = live.worker
        detail = AttemptStarted(
            resumed_from_epoch=worker.resumed_from_epoch,
            waited_s=live.waited_s or None,
            gpus=worker.gpus or None,
            passed_over=worker.passed_over,
            imports_s=worker.imports_s,
            data_s=worker.data_s,
            latency_s=worker.latency_s,
            kernels=worker.kernels,
            cudnn_version=worker.cudnn_version,
            driver_version=worker.driver_version,
            mps=worker.mps,
            others_bytes=worker.others_bytes,
        )
        waited = (self._clock() - live.handed_out_at).total_seconds()
        return replace(self._of_attempt(live, detail, waited), code=worker.code)

    def attempt_ended(self, live: LiveAttempt, how: str, failure: Failure | None = None) -> EventRow:
        """The end of an attempt; `duration_s` is how long it held its resources."""
        detail = AttemptEnded(
            how=how,
            train_s=live.elapsed_s,
            epochs=live.last_epoch,
            peak_memory_bytes=live.peak_memory_bytes or None,
            **self._learned(live),
        )
        return replace(self._of_attempt(live, detail, live.held_s(self._clock())), failure=failure)

    def attempt_interrupted(self, live: LiveAttempt) -> EventRow:
        """The end of a session before that of its attempt; `duration_s` is how long it held its resources."""
        return self._of_attempt(live, AttemptInterrupted(**self._learned(live)), live.held_s(self._clock()))

    def _learned(self, live: LiveAttempt) -> dict[str, Any]:
        """What later messages than the first said of the worker."""
        worker = live.worker
        names = ("data_s", "first_step_s", "execution", "eager_because", "step_s", "gpu_busy")
        learned = {name: getattr(worker, name) for name in names}
        if self._study.train is None:
            return learned
        resumed_from = worker.resumed_from_epoch or None
        return {**learned, "resumed_from_epoch": resumed_from, "passed_over": worker.passed_over}

    def session_event(self, detail: Detail, *, duration_s: float | None = None) -> EventRow:
        """An event of the whole session."""
        return EventRow(
            study=self._study.name,
            kind=detail.kind,
            session=self._session,
            duration_s=duration_s,
            detail=detail_as_json(detail),
            happened_at=self._clock(),
        )

    def trial(
        self,
        live: LiveAttempt,
        record: TrialRecord,
        reports: Sequence[ReportRow],
        ending: Ending,
        *,
        history_seq: int,
    ) -> TrialRow:
        """The end of a trial; `reports` holds the first acknowledged report of each epoch, in order."""
        last = reports[-1] if reports else None
        metric, now = self._study.objective.metric, self._clock()
        objective = last.value(metric) if last is not None and ending.failure is None else None
        return TrialRow(
            **self._known_of(record.number, live.cost, live.attempt.recipe.seed),
            attempt=live.attempt.attempt,
            history_seq=history_seq,
            state=ending.state,
            reason=ending.reason,
            failure=ending.failure,
            objective=objective,
            objectives=as_json_text(
                {} if last is None or objective is None else self._objectives(last, live.cost)
            ),
            metrics=last.metrics if last else _metrics_of_cost(live.cost),
            epochs=last.epoch if last else 0,
            best_epoch=best_epoch(self._study, reports),
            val_accuracy=last.val_accuracy if last else None,
            test_accuracy=last.test_accuracy if last else None,
            latency_ms=live.latency_ms,
            peak_memory_bytes=max(
                filter(None, (live.peak_memory_bytes, *(r.peak_memory_bytes for r in reports))), default=None
            ),
            train_s=(last.elapsed_s or 0.0) if last else 0.0,
            wall_s=(now - record.first_started_at).total_seconds(),
            device_s=record.held_s + live.held_s(now),
            error=ending.error,
            params=as_json_text(record.params),
            device=live.worker.device,
            hostname=live.worker.hostname,
            torch_version=live.worker.torch_version,
            data_fingerprint=live.worker.data_fingerprint,
            ended_at=now,
        )

    def _known_of(self, number: int, cost: TrialCost, seed: int) -> dict[str, Any]:
        """The columns that the rows of trained and refused trials share: names, cost, seed and provenance."""
        return {
            "study": self._study.name,
            "trial_id": trial_id(self._study.name, number),
            "number": number,
            "seed": seed,
            **cost.columns(),
            **asdict(self._provenance),
        }

    def _objectives(self, last: ReportRow, cost: TrialCost) -> dict[str, object]:
        """Every objective of the study by name."""
        return {
            objective.metric: cost.value(objective.metric)
            if objective.is_cost
            else last.value(objective.metric)
            for objective in self._study.objectives
        }

    def _of_attempt(self, live: LiveAttempt, detail: Detail, seconds: float) -> EventRow:
        return replace(
            self.session_event(detail, duration_s=seconds),
            trial_id=live.attempt.trial_id,
            number=live.attempt.number,
            attempt=live.attempt.attempt,
            node=live.worker.node,
            device=live.worker.device,
            pid=live.worker.pid,
        )


def _metrics_of_cost(cost: TrialCost) -> str:
    """The costs of own training as JSON; a network's costs have columns of their own."""
    return as_json_text(cost.values) if isinstance(cost, OwnCost) else "{}"


def best_epoch(study: Study, reports: Sequence[ReportRow]) -> int | None:
    """The epoch with the best objective, the earlier one on ties; None without reports."""
    best: ReportRow | None = None
    metric = study.objective.metric
    for report in reports:
        value = report.value(metric)
        known = None if best is None else best.value(metric)
        if value is not None and (known is None or study.objective.is_better(value, known)):
            best = report
    return best.epoch if best else None


def ending(live: LiveAttempt, verdict: Verdict | None) -> Ending | None:
    """How a trial ends with its latest report; None if it continues."""
    if verdict is not None and verdict.decision is Decision.STOP:
        return Ending(state=State.STOPPED, reason=verdict.reason)
    if live.last_epoch >= live.attempt.recipe.epochs:
        ran = "ran its only epoch" if live.last_epoch == 1 else f"ran all {live.last_epoch} epochs"
        return Ending(state=State.COMPLETED, reason=ran)
    return None
