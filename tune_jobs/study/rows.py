"""States and decisions of a trial, and one frozen value for each row of the store.

A row is written once and never changed. Its fields are the columns of its table
(`tune_jobs.store.columns.schema` adds the typed `param_` columns; a test compares the two). Instants are UTC
and aware here, naive UTC microseconds in Parquet. JSON texts have sorted keys. A missing value is None, never
NaN.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar

from eml_models.errors import raise_if_any

UNACKNOWLEDGED = 0
"""The `seq` of a row that the store has not acknowledged yet; acknowledged rows count from 1."""


class State(StrEnum):
    """How a trial ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    INFEASIBLE = "infeasible"
    FAILED = "failed"


class Failure(StrEnum):
    """The kind of failure of an attempt; also of its trial, if no other attempt follows.

    Another attempt follows a failure of the worker, a failure because the share of a GPU was too small, and a
    fault of a GPU under an MPS server, which ends every trial on that GPU and not only the one at fault.
    """

    DIVERGED = "diverged"
    RAISED = "raised"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_SHARE = "out_of_share"
    SHARED_FAULT = "shared_fault"
    CRASHED = "crashed"
    HUNG = "hung"

    @property
    def words(self) -> str:
        """The verb of a sentence whose subject is the attempt."""
        return _VERBS.get(self, str(self))


_VERBS = {
    Failure.RAISED: "raised an error",
    Failure.OUT_OF_MEMORY: "ran out of memory",
    Failure.OUT_OF_SHARE: "ran out of its share of GPU memory",
    Failure.SHARED_FAULT: "ended with a fault of a GPU that it shared",
}

TRIED_AGAIN = frozenset({Failure.CRASHED, Failure.HUNG})
"""Failures that may be the worker's fault. A limited number of other attempts follows."""

TRIED_WITH_MORE = frozenset({Failure.OUT_OF_SHARE, Failure.SHARED_FAULT})
"""Failures of attempts with a share of a GPU. Attempts with larger shares follow until the trial has a whole
GPU, where these failures do not occur. They cost it none of the limited number of attempts."""


class Decision(StrEnum):
    """The decision of a rung."""

    CONTINUE = "continue"
    STOP = "stop"


class EventKind(StrEnum):
    """The kinds of events; the ledger is computed from them."""

    SESSION_STARTED = "session_started"
    SESSION_ENDED = "session_ended"
    ATTEMPT_STARTED = "attempt_started"
    ATTEMPT_ENDED = "attempt_ended"
    ATTEMPT_INTERRUPTED = "attempt_interrupted"
    ENQUEUED = "enqueued"
    WARM_STARTED = "warm_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRow:
    """The start of an attempt of a trial: its params, the history behind them, and the instant.

    `history_seq` is the last row that the proposal knew. The node and device are in the `attempt_started`
    event, because this row is written before a worker gets the attempt.
    """

    table: ClassVar[str] = "starts"

    study: str
    trial_id: str
    number: int
    attempt: int
    seq: int = UNACKNOWLEDGED
    history_seq: int
    params: str
    recipe: str
    seed: int
    warm_started_from: str | None = None
    started_at: datetime

    def __post_init__(self) -> None:
        raise_if_any("start", _finite_problems(self))


METRICS_OF_REPORTS = frozenset(
    {
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "learning_rate",
        "epoch_s",
        "elapsed_s",
        "samples_per_s",
        "peak_memory_bytes",
        "test_accuracy",
        "latency_ms",
    }
)
"""The columns of a report that are metrics; the others say which report it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """The report of a trial after an epoch, with the decision of its rung if the epoch is a rung.

    Accuracies are fractions in [0, 1]; `epoch` counts from 1; `epoch_s` and `elapsed_s` are training time.
    Only the last epoch of a finalist has a `test_accuracy`. `latency_ms` is the attempt's own measurement.
    `metrics` is JSON of all metrics of own training, and of the costs that its study computes; the columns
    above hold those of the same name, and the epoch and the seconds, which we count.
    """

    table: ClassVar[str] = "reports"

    study: str
    trial_id: str
    number: int
    attempt: int
    seq: int = UNACKNOWLEDGED
    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    learning_rate: float | None = None
    epoch_s: float | None = None
    elapsed_s: float | None = None
    samples_per_s: float | None = None
    peak_memory_bytes: int | None = None
    decision: Decision | None = None
    decision_reason: str | None = None
    history_seq: int | None = None
    reported_at: datetime
    test_accuracy: float | None = None
    latency_ms: float | None = None
    metrics: str = "{}"

    def value(self, metric: str) -> float | None:
        """A metric as a number; None if the report lacks it. Metrics of own training go first.

        Own training may call a metric as another column is called, such as ``number``.
        """
        own = own_numbers(self.metrics)
        if metric in own or metric not in METRICS_OF_REPORTS:
            return own.get(metric)
        value: float | None = getattr(self, metric)
        return value

    def __post_init__(self) -> None:
        problems = _finite_problems(self)
        if self.decision is not None and not self.decision_reason:
            problems.append("a decision needs a reason, got none")
        if self.epoch < 1:
            problems.append(f"epoch must be at least 1, got {self.epoch}")
        raise_if_any("report", problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """A trial that has ended, in any state.

    `objective` is the value at the trial's last epoch (None without a report); `objectives` holds all of them
    as JSON. `train_s` is training time, `wall_s` the time from the first start to the end, `device_s` the
    time that the trial held its resources, over all attempts. `macs`, `parameters`, `activations` and
    `traffic_bytes` are the cost of the network for one image (the traffic is an estimate, in fp32). `failure`
    is the kind of failure of a failed trial, and None in every other state. `metrics` is JSON of the last
    report's metrics and of the costs, of own training.
    """

    table: ClassVar[str] = "trials"

    study: str
    trial_id: str
    number: int
    attempt: int
    seq: int = UNACKNOWLEDGED
    history_seq: int | None = None
    state: State
    reason: str
    failure: Failure | None = None
    objective: float | None = None
    objectives: str = "{}"
    epochs: int = 0
    best_epoch: int | None = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    macs: int | None = None
    parameters: int | None = None
    activations: int | None = None
    traffic_bytes: int | None = None
    latency_ms: float | None = None
    peak_memory_bytes: int | None = None
    train_s: float = 0.0
    wall_s: float = 0.0
    device_s: float = 0.0
    error: str | None = None
    params: str
    seed: int
    git_commit: str | None = None
    git_dirty: bool | None = None
    torch_version: str | None = None
    ray_version: str | None = None
    optuna_version: str | None = None
    device: str | None = None
    data_fingerprint: str | None = None
    hostname: str | None = None
    metrics: str = "{}"
    ended_at: datetime

    def __post_init__(self) -> None:
        problems = _finite_problems(self)
        if not self.reason:
            problems.append(f"a trial that ended needs a reason, got none (state {self.state})")
        if (self.state is State.FAILED) != (self.failure is not None):
            problems.append(
                "a trial has a failure if its state is failed, and none in any other state, got"
                f" {'none' if self.failure is None else self.failure} with state {self.state}"
            )
        raise_if_any("trial", problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event of a driver's session: its start or end, that of an attempt, points or trials given to it.

    `failure` is the kind of failure that ended an attempt; `code` the digest of the training code that an
    attempt has loaded, with that of the study's cost function (`tune_jobs.study.code_digest`), in the event
    of its start. `detail` is JSON with the
    keys of that kind of event (`tune_jobs.study.events`).
    """

    table: ClassVar[str] = "events"

    study: str
    seq: int = UNACKNOWLEDGED
    kind: EventKind
    session: str
    trial_id: str | None = None
    number: int | None = None
    attempt: int | None = None
    node: str | None = None
    device: str | None = None
    pid: int | None = None
    duration_s: float | None = None
    failure: Failure | None = None
    code: str | None = None
    detail: str = "{}"
    happened_at: datetime

    def __post_init__(self) -> None:
        problems = _finite_problems(self)
        if self.failure is not None and self.kind is not EventKind.ATTEMPT_ENDED:
            problems.append(f"only an attempt that ended has a failure, got {self.failure} of {self.kind}")
        raise_if_any("event", problems)


Row = StartRow | ReportRow | TrialRow | EventRow
ROW_TYPES: tuple[type[Row], ...] = (StartRow, ReportRow, TrialRow, EventRow)
"""The row types in publishing order, so that a trial's row never appears before its reports."""


@lru_cache(maxsize=4096)
def own_numbers(metrics: str) -> Mapping[str, float]:
    """The numbers in a `metrics` text, by name; truth values and texts are left out.

    The text has been checked (`tune_jobs.study.row_json`).
    """
    if metrics == "{}":
        return {}
    values = json.loads(metrics)
    return {k: v for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def trial_id(study: str, number: int) -> str:
    """The id of a trial, unique across the studies of a store: a study's name has no slash."""
    return f"{study}/{number}"


def as_json_text(data: Mapping[str, object]) -> str:
    """The JSON text of an object, the same for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def _finite_problems(row: Row) -> list[str]:
    values = ((f.name, getattr(row, f.name)) for f in fields(row))
    return [
        f"{name} must be finite or None, got {value}"
        for name, value in values
        if isinstance(value, float) and not math.isfinite(value)
    ]
