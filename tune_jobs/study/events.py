"""What each kind of event says beside its columns: one frozen value per kind, with both ways to JSON.

A row holds the text (`EventRow.detail`); `detail_of` says what it means, and `detail_as_json` writes it
(`tune_jobs.study.json_forms` says how). Queries in SQL name the same keys, and a test holds the two together.
What proposals follow from (points, trials of other studies) is folded by `tune_jobs.search.history`.
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
    """A run began, with these settings; None where what there is decides.

    `code` is the digest of the training code that the driver has (`tune_jobs.study.code_digest`).
    """

    kind: ClassVar = EventKind.SESSION_STARTED

    workers: Count | None = None
    cpus_per_trial: Count | None = None
    gpus_per_trial: NumberOrText | None = None
    kernels: Text | None = None
    code: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """A run ended by itself, by a signal or by an error. A killed run has no such event."""

    kind: ClassVar = EventKind.SESSION_ENDED

    how: Annotated[SessionEnd, one_of(SessionEnd, "how a session ends")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """A worker has begun to train an attempt.

    Attributes:
        waited_s: until it had a worker; None where it had one at once.
        gpus: as many, or such a share of one, as it was given; None on a CPU.

    The others are those of `tune_jobs.session.attempt.WorkerInfo`.
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
    code: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """An attempt is over.

    Attributes:
        how: the state in which its trial ended, or in words why it is tried again; nothing is decided by it
            (the column `failure` says which kind of failure it was).
        train_s: seconds of training that its last report said.
        epochs: the last epoch that it reported; 0 for none.
        peak_memory_bytes: with a failure, the most that it took of its device.
    """

    kind: ClassVar = EventKind.ATTEMPT_ENDED

    how: Reason
    train_s: Seconds = 0.0
    epochs: Count = 0
    peak_memory_bytes: Whole | None = None
    data_s: Seconds | None = None
    first_step_s: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptInterrupted:
    """The session ended before the attempt did."""

    kind: ClassVar = EventKind.ATTEMPT_INTERRUPTED

    data_s: Seconds | None = None
    first_step_s: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Params to try before the sampler is asked; what they leave out is drawn.

    Attributes:
        retry_of: the failed trial that it takes the place of; that one no longer counts as trained.
        first: whether it goes before all that wait. A retry does, since another point would take the place
            that it freed.
    """

    params: AnyParams
    retry_of: Count | None = None
    first: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """Points that are to be tried, in order."""

    kind: ClassVar = EventKind.ENQUEUED

    points: Annotated[tuple[Point, ...], list_of(Point, "a list of points")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialElsewhere:
    """A trial of another study, as far as this one's sampler learns from it.

    Attributes:
        macs: with `parameters`, `activations` and `traffic_bytes` what its network costs in the study that
            learns.
        objectives: JSON of all of them, as in its row.
        epoch: of its last report, and `value` is that of the first objective; both None if it had none.
    """

    trial_id: Text
    number: Count
    params: AnyParams
    state: Annotated[State, one_of(State, "a state")]
    reason: Reason
    failure: Annotated[Failure, one_of(Failure, "a failure")] | None = None
    objective: Number | None = None
    objectives: Annotated[str, Form("JSON of numbers", is_objectives)] = "{}"
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
"""What holds the detail of each kind."""

PREPARING = ("imports_s", "data_s", "latency_s", "first_step_s")
"""What the events of an attempt may say of its preparing."""


def preparing_s(detail: Detail) -> dict[str, float]:
    """Seconds of an attempt's preparing by the names of `PREPARING`, those that this event says."""
    said = ((name, getattr(detail, name, None)) for name in PREPARING)
    return {name: seconds for name, seconds in said if seconds is not None}


def detail_as_json(detail: Detail) -> str:
    """The text that a row holds."""
    return as_json_text(as_data(detail))


def detail_from_json(kind: EventKind, text: str) -> Detail:
    """What the text of a row of that kind says.

    Raises:
        InvalidValueError: JSON of another shape.
    """
    return from_data(DETAILS[kind], parse_object(text))


def detail_of(row: EventRow) -> Detail:
    """What an event's row says beside its columns."""
    return detail_from_json(row.kind, row.detail)
