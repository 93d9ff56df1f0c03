"""Details of events: one frozen value for each kind of event, with the way to JSON and back.

A row holds the text (`EventRow.detail`). `detail_of` reads it and `detail_as_json` writes it, both by the
rules of `tune_jobs.study.json_forms`. Queries in SQL name the same keys; a test compares the two. Called by
the session, which writes events, and by everything that reads them.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar

from tune_jobs.study.json_fields import is_objectives, parse_object
from tune_jobs.study.json_forms import (
    JSON_NAME,
    AnyParams,
    Count,
    Epoch,
    Flag,
    Form,
    Number,
    NumberOrText,
    Reason,
    Seconds,
    Text,
    Whole,
    as_data,
    from_data,
    list_of,
    one_of,
)
from tune_jobs.study.rows import EventKind, EventRow, Failure, State, as_json_text


class SessionEnd(StrEnum):
    """How a session ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """A run began with these settings; None stands for a value that the run chose itself.

    `trials` is the number that the study was to have at its end, and `code` the digest of the driver's
    training code and cost function (`tune_jobs.study.code_digest`). `code_words` are the words that named the
    study by its code, such as ``file.py:function``; None for a shipped study, and for a study made in Python.
    """

    kind: ClassVar = EventKind.SESSION_STARTED

    trials: Count | None = None
    workers: Count | None = None
    cpus_per_trial: Count | None = None
    gpus_per_trial: NumberOrText | None = None
    kernels: Text | None = None
    execution: Text | None = None
    code: Text | None = None
    code_words: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """A run ended by itself, by a signal or by an error. A killed run has no such event."""

    kind: ClassVar = EventKind.SESSION_ENDED

    how: Annotated[SessionEnd, one_of(SessionEnd)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """A worker has begun to train an attempt.

    Attributes:
        waited_s: seconds until it had a worker; None if a worker was free at once.
        gpus: the number of GPUs, or the share of a GPU, that it got; None on a CPU.

    The other fields are those of `tune_jobs.session.attempt.WorkerInfo`.
    """

    kind: ClassVar = EventKind.ATTEMPT_STARTED

    resumed_from_epoch: Count = 0
    waited_s: Seconds | None = None
    gpus: Number | None = None
    passed_over: Text | None = None
    imports_s: Seconds | None = None
    data_s: Seconds | None = None
    latency_s: Seconds | None = None
    kernels: Text | None = None
    cudnn_version: Whole | None = None
    driver_version: Text | None = None
    mps: Flag | None = None
    others_bytes: Whole | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What is known of a worker only after its attempt has begun: part of each end of an attempt.

    The fields are those of `tune_jobs.session.attempt.WorkerInfo`. Own training loads a state after it has
    begun, so `resumed_from_epoch` and `passed_over` of its attempts are here; None if it loaded none.
    """

    data_s: Seconds | None = None
    first_step_s: Seconds | None = None
    execution: Text | None = None
    eager_because: Text | None = None
    step_s: Seconds | None = None
    gpu_busy: Number | None = None
    resumed_from_epoch: Count | None = None
    passed_over: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded(Learned):
    """An attempt is over.

    Attributes:
        how: the state in which its trial ended, or the reason for another attempt, in words. No decision
            depends on it; the column `failure` holds the kind of failure.
        train_s: seconds of training, as in its last report.
        epochs: the last epoch that it reported; 0 without a report.
        peak_memory_bytes: for a failure, the most memory that it took on its device.
    """

    kind: ClassVar = EventKind.ATTEMPT_ENDED

    how: Reason
    train_s: Seconds = 0.0
    epochs: Count = 0
    peak_memory_bytes: Whole | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptInterrupted(Learned):
    """The session ended before the attempt did."""

    kind: ClassVar = EventKind.ATTEMPT_INTERRUPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Params to try before the sampler proposes; missing parameters are drawn.

    Attributes:
        retry_of: the failed trial that it replaces; the failed trial no longer counts as trained.
        first: whether it goes before all waiting points. A retry does, because another point would use up the
            trial that the retry replaces.
    """

    params: AnyParams
    retry_of: Count | None = None
    first: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """Points to try, in order."""

    kind: ClassVar = EventKind.ENQUEUED

    points: Annotated[tuple[Point, ...], list_of(Point, "a list of points")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialElsewhere:
    """A trial of another study: the part from which the sampler of this study learns.

    Attributes:
        macs: with `parameters`, `activations` and `traffic_bytes` the cost of its network in the study that
            learns.
        objectives: the values of all objectives as JSON, as in its row.
        costs: of own training, the costs that the study that learns computes, as JSON; None if it computes
            none.
        epoch: the epoch of its last report, and `value` the first objective there; both None without a
            report.
    """

    trial_id: Text
    number: Count
    params: AnyParams
    state: Annotated[State, one_of(State)]
    reason: Reason
    failure: Annotated[Failure, one_of(Failure)] | None = None
    objective: Number | None = None
    objectives: Annotated[str, Form("JSON of numbers", is_objectives)] = "{}"
    costs: Annotated[str, Form("JSON of numbers", is_objectives)] | None = None
    macs: Whole | None = None
    parameters: Whole | None = None
    activations: Whole | None = None
    traffic_bytes: Whole | None = None
    latency_ms: Number | None = None
    epoch: Epoch | None = None
    value: Number | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStarted:
    """The sampler learns from these trials of another study, the newest first."""

    kind: ClassVar = EventKind.WARM_STARTED

    origin: Text = field(metadata={JSON_NAME: "from"})
    trials: Annotated[tuple[TrialElsewhere, ...], list_of(TrialElsewhere, "a list of trials")]


Detail = (
    SessionStarted
    | SessionEnded
    | AttemptStarted
    | AttemptEnded
    | AttemptInterrupted
    | Enqueued
    | WarmStarted
)
DETAILS: Mapping[EventKind, type[Detail]] = types.MappingProxyType(
    {detail.kind: detail for detail in typing.get_args(Detail)}
)
"""The class of each kind's detail."""

PREPARING = ("imports_s", "data_s", "latency_s", "first_step_s")
"""The seconds of preparing that events of an attempt may hold."""


def preparing_s(detail: Detail) -> dict[str, float]:
    """The seconds of preparing that an event holds, by the names of `PREPARING`."""
    held = ((name, getattr(detail, name, None)) for name in PREPARING)
    return {name: seconds for name, seconds in held if seconds is not None}


def detail_as_json(detail: Detail) -> str:
    """The text of a detail, for a row."""
    return as_json_text(as_data(detail))


def detail_from_json(kind: EventKind, text: str) -> Detail:
    """The detail in the text of a row of that kind.

    Raises:
        InvalidValueError: the text is no JSON, or has another shape.
    """
    return from_data(DETAILS[kind], parse_object(text))


def detail_of(row: EventRow) -> Detail:
    """The detail of an event's row."""
    return detail_from_json(row.kind, row.detail)
