"""All that the rows of a study say about one trial, and the trials that have no end yet.

Pure functions of the rows. Called by `tune_jobs.report.trial_page`, `tune_jobs.report.unfinished` and the
command ``show``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from eml_models.errors import InvalidValueError
from tune_jobs.study.events import AttemptEnded, AttemptInterrupted, AttemptStarted, detail_of
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import EventKind, EventRow, ReportRow, Row, StartRow, State, TrialRow

ON_GPU = (
    "gpus",
    "execution",
    "eager_because",
    "step_s",
    "gpu_busy",
    "kernels",
    "driver_version",
    "cudnn_version",
    "mps",
    "others_bytes",
)
"""Fields of an attempt's events (`tune_jobs.study.events`) that a CPU has not; also columns of `query`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """One attempt of a trial.

    Attributes:
        node: with `device` and `pid` the place of its worker; None before a worker has it.
        resumed_from_epoch: the epochs that it did not train again; None before its training began.
        held_s: seconds for which it held its resources; None if no row says it.
        how: how it ended, in words; None if it has not ended.
        on_gpu: the facts of its events about its GPU and steps, by the names of `ON_GPU`, without those that
            no event has; empty on a CPU.
    """

    attempt: int
    started_at: datetime
    node: str | None = None
    device: str | None = None
    pid: int | None = None
    resumed_from_epoch: int | None = None
    held_s: float | None = None
    how: str | None = None
    on_gpu: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFacts:
    """One trial.

    Attributes:
        recipe: as plain data; None for a trial that a limit refused.
        reports: the first acknowledged report of each epoch, in order of epoch.
        end: the row of its end; None while it is unfinished.
    """

    study: str
    number: int
    params: Params
    recipe: Mapping[str, object] | None
    reports: tuple[ReportRow, ...]
    attempts: tuple[AttemptFacts, ...]
    end: TrialRow | None

    @property
    def decisions(self) -> tuple[ReportRow, ...]:
        """The reports at which a rung decided."""
        return tuple(report for report in self.reports if report.decision is not None)


def facts_of(rows: Sequence[Row], number: int, *, study: str) -> TrialFacts:
    """The facts about the trial of this number.

    Raises:
        InvalidValueError: the study has no such trial.
    """
    own = [row for row in rows if row.number == number]
    starts = [row for row in own if isinstance(row, StartRow)]
    end = next((row for row in own if isinstance(row, TrialRow)), None)
    if not starts and end is None:
        known = {row.number for row in rows if isinstance(row, StartRow | TrialRow)}
        there = f"it has 0 to {max(known)}" if known else "it has none yet"
        raise InvalidValueError(f"study {study!r} has no trial {number}; {there}")
    reports: dict[int, ReportRow] = {}
    for row in own:
        if isinstance(row, ReportRow):
            reports.setdefault(row.epoch, row)
    params = starts[0].params if starts else end.params if end else "{}"
    events = [row for row in own if isinstance(row, EventRow)]
    return TrialFacts(
        study=study,
        number=number,
        params=parse_object(params),
        recipe=parse_object(starts[0].recipe) if starts else None,
        reports=tuple(reports[epoch] for epoch in sorted(reports)),
        attempts=tuple(
            _attempt(start, [e for e in events if e.attempt == start.attempt]) for start in starts
        ),
        end=end,
    )


def _attempt(start: StartRow, events: Sequence[EventRow]) -> AttemptFacts:
    begun = next((row for row in events if row.kind is EventKind.ATTEMPT_STARTED), None)
    ended = next((row for row in events if row.kind is EventKind.ATTEMPT_ENDED), None)
    cut_short = next((row for row in events if row.kind is EventKind.ATTEMPT_INTERRUPTED), None)
    place = begun or ended or cut_short
    detail = detail_of(begun) if begun else None
    last = detail_of(ended) if ended else None
    last_row = ended or cut_short
    return AttemptFacts(
        attempt=start.attempt,
        started_at=start.started_at,
        node=place.node if place else None,
        device=place.device if place else None,
        pid=place.pid if place else None,
        resumed_from_epoch=_resumed_from(detail, last, detail_of(cut_short) if cut_short else None),
        held_s=last_row.duration_s if last_row else None,
        how=last.how if isinstance(last, AttemptEnded) else "cut short with its run" if cut_short else None,
        on_gpu=_on_gpu(detail, last, detail_of(cut_short) if cut_short else None),
    )


def _on_gpu(*details: object) -> dict[str, object]:
    """What the details of an attempt's events say of its GPU; the last detail that says something counts."""
    said = ((name, getattr(detail, name, None)) for name in ON_GPU for detail in details)
    return {name: value for name, value in said if value is not None and value is not False}


def _resumed_from(*details: object) -> int | None:
    """The epochs that an attempt did not train again; own training knows them only after it has begun."""
    found = [
        detail.resumed_from_epoch
        for detail in details
        if isinstance(detail, AttemptStarted | AttemptEnded | AttemptInterrupted)
    ]
    return max((epoch for epoch in found if epoch is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A trial without an end.

    Attributes:
        last: its newest report; None before its first.
        epochs: the epochs of its recipe; None if they are unknown.
    """

    number: int
    attempt: int
    epochs: int | None
    last: ReportRow | None
    started_at: datetime


def list_unfinished(rows: Sequence[Row]) -> list[Unfinished]:
    """The trials that were handed out and have no end, by number."""
    starts: dict[int, StartRow] = {}
    last: dict[int, ReportRow] = {}
    for row in rows:
        if isinstance(row, StartRow):
            starts[row.number] = row
        elif isinstance(row, ReportRow) and (row.number not in last or row.epoch > last[row.number].epoch):
            last[row.number] = row
        elif isinstance(row, TrialRow):
            starts.pop(row.number, None)
    return [_unfinished(starts[number], last.get(number)) for number in sorted(starts)]


def _unfinished(start: StartRow, last: ReportRow | None) -> Unfinished:
    epochs = parse_object(start.recipe).get("epochs")
    return Unfinished(
        number=start.number,
        attempt=start.attempt,
        epochs=epochs if isinstance(epochs, int) else None,
        last=last,
        started_at=start.started_at,
    )


def last_failed(rows: Sequence[Row]) -> TrialRow | None:
    """The trial that failed last; None if none failed."""
    ends = (row for row in reversed(rows) if isinstance(row, TrialRow))
    return next((row for row in ends if row.state is State.FAILED), None)
