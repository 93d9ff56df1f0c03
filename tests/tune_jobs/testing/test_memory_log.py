"""A log in memory: it numbers rows as a store's writer does."""

from __future__ import annotations

from tune_jobs.study.rows import EventKind, Row
from tune_jobs.testing.memory_log import MemoryLog
from tune_jobs.testing.rows import event_row, report_row, start_row, trial_row


def test_log_numbers_rows_and_sorts_them_by_kind() -> None:
    log = MemoryLog()
    rows: list[Row] = [start_row(0), report_row(0, 1, 0.5), trial_row(0), event_row(EventKind.SESSION_ENDED)]
    assert [row.seq for row in log.append_many(rows[:1]) + log.append_many(rows[1:])] == [1, 2, 3, 4]
    assert [len(kind) for kind in (log.starts, log.reports, log.trials)] == [1, 1, 1]
