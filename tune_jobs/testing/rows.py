"""Rows with plain values, for tests: each function fills in what a test does not name.

Every keyword that is a column of the row replaces the plain value.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tune_jobs.search.history import History
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import (
    EventKind,
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

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STUDY = "s"


def start_row(
    number: int, params: Params | None = None, *, study: str = STUDY, attempt: int = 1, **columns: Any
) -> StartRow:
    """The start of an attempt."""
    row = StartRow(
        study=study,
        trial_id=trial_id(study, number),
        number=number,
        attempt=attempt,
        history_seq=0,
        params=as_json_text(params or {}),
        recipe="{}",
        seed=1,
        started_at=NOON,
    )
    return replace(row, **columns)


def report_row(
    number: int,
    epoch: int,
    val_accuracy: float | None = None,
    *,
    study: str = STUDY,
    attempt: int = 1,
    **columns: Any,
) -> ReportRow:
    """The report of an epoch, a second per epoch after noon."""
    row = ReportRow(
        study=study,
        trial_id=trial_id(study, number),
        number=number,
        attempt=attempt,
        epoch=epoch,
        val_accuracy=val_accuracy,
        reported_at=NOON + timedelta(seconds=epoch),
    )
    return replace(row, **columns)


def trial_row(
    number: int,
    state: State = State.COMPLETED,
    params: Params | None = None,
    *,
    study: str = STUDY,
    **columns: Any,
) -> TrialRow:
    """The end of a trial; a failed one raised, an infeasible one had no attempt."""
    given: dict[str, Any] = {
        "attempt": 0 if state is State.INFEASIBLE else 1,
        "reason": f"{state} because a test says so",
        "failure": Failure.RAISED if state is State.FAILED else None,
        "seed": 1,
        "ended_at": NOON + timedelta(minutes=1),
        **columns,
    }
    return TrialRow(
        study=study,
        trial_id=trial_id(study, number),
        number=number,
        state=state,
        params=as_json_text(params or {}),
        **given,
    )


def event_row(kind: EventKind, number: int | None = None, *, study: str = STUDY, **columns: Any) -> EventRow:
    """An event of a session, or of an attempt where a number is given."""
    row = EventRow(
        study=study,
        kind=kind,
        session="session",
        number=number,
        trial_id=None if number is None else trial_id(study, number),
        attempt=None if number is None else 1,
        happened_at=NOON,
    )
    return replace(row, **columns)


def numbered(*rows: Row) -> list[Row]:
    """The rows with the `seq` that a store would acknowledge them with, from 1."""
    return [replace(row, seq=seq) for seq, row in enumerate(rows, start=1)]


def history_of(study: Study, *rows: Row) -> History:
    """The history that these rows make, in this order."""
    return History.from_rows(study, numbered(*rows))
