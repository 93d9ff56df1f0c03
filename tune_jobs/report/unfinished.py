"""The trials without an end as a table: those that run, or that a run has left behind.

Called by `documents`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.analysis.one_trial import has_open_session, list_unfinished
from tune_jobs.report.for_people import TRIAL
from tune_jobs.report.tables import Table
from tune_jobs.study.rows import Row


def unfinished(rows: Sequence[Row], *, metric: str) -> Table:
    """The trials without an end, each with its newest acknowledged epoch and value.

    A run that was killed leaves no row of its end, so its trials look as if they ran; the instants show it.
    """
    found = [
        (
            trial.number,
            trial.attempt,
            trial.last.epoch if trial.last else 0,
            trial.epochs,
            trial.last.value(metric) if trial.last else None,
            f"{(trial.last.reported_at if trial.last else trial.started_at):%Y-%m-%d %H:%M:%S}",
        )
        for trial in list_unfinished(rows)
    ]
    title = "trials that run" if has_open_session(rows) else "trials that the next run continues"
    return Table(
        title=title,
        columns=(TRIAL, "attempt", "epoch", "of", metric, "last row (UTC)"),
        rows=tuple(found),
    )
