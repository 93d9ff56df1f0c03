"""The trials without an end as a table: those that run, or that a run has left behind.

Called by `documents`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.analysis.one_trial import list_unfinished
from tune_jobs.report.column_numbers import whole_column
from tune_jobs.report.for_people import TRIAL
from tune_jobs.report.last_runs import NO_END, RUNNING
from tune_jobs.report.tables import Table
from tune_jobs.study.rows import Row, own_numbers

TITLES = {RUNNING: "trials that run", NO_END: "trials that run, or that a killed run has left"}


def unfinished(rows: Sequence[Row], *, metric: str, run: str) -> Table:
    """The trials without an end, each with its newest acknowledged epoch and value.

    Args:
        run: the study's last run in a word, as `last_runs.last_run` gives it.
    """
    trials = list_unfinished(rows)
    values = [trial.last.value(metric) if trial.last else None for trial in trials]
    if any(trial.last is not None and metric in own_numbers(trial.last.metrics) for trial in trials):
        values = whole_column(values)
    found = [
        (
            trial.number,
            trial.attempt,
            trial.last.epoch if trial.last else 0,
            trial.epochs,
            value,
            f"{(trial.last.reported_at if trial.last else trial.started_at):%Y-%m-%d %H:%M:%S}",
        )
        for trial, value in zip(trials, values, strict=True)
    ]
    return Table(
        title=TITLES.get(run, "trials that the next run continues"),
        columns=(TRIAL, "attempt", "epoch", "of", metric, "last row (UTC)"),
        rows=tuple(found),
    )
