"""The table of trials that run: each with its newest acknowledged epoch and value."""

from __future__ import annotations

import pytest

from tune_jobs.report.last_runs import KILLED, NO_END, RUNNING
from tune_jobs.report.unfinished import unfinished
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.rows import EventKind, Row, State
from tune_jobs.testing.rows import event_row, numbered, report_row, start_row, trial_row

ROWS = (
    event_row(EventKind.SESSION_STARTED),
    start_row(0, recipe='{"epochs": 5}'),
    report_row(0, 1, 0.5),
    start_row(1, recipe='{"epochs": 5}'),
    trial_row(1, State.COMPLETED),
    report_row(0, 2, 0.75),
    start_row(2, recipe='{"epochs": 5}'),
)


def test_a_value_may_be_a_metric_of_own_training() -> None:
    rows = numbered(start_row(0), report_row(0, 1, metrics='{"iou":0.25}'))
    assert unfinished(rows, metric="iou", run=RUNNING).rows[0][4] == 0.25


@pytest.mark.parametrize(
    ("run", "title"),
    [
        (RUNNING, "trials that run"),
        (NO_END, "trials that run, or that a killed run has left"),
        (KILLED, "trials that the next run continues"),
        (SessionEnd.INTERRUPTED, "trials that the next run continues"),
    ],
)
def test_trials_without_an_end_are_listed_with_epoch_and_value(run: str, title: str) -> None:
    rows: list[Row] = numbered(*ROWS)
    table = unfinished(rows, metric="val_accuracy", run=run)
    assert table.title == title
    assert table.columns == ("trial", "attempt", "epoch", "of", "val_accuracy", "last row (UTC)")
    assert table.rows == (
        (0, 1, 2, 5, 0.75, "2026-11-24 12:00:02"),
        (2, 1, 0, 5, None, "2026-11-24 12:00:00"),
    )
