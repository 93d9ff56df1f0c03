"""A listener hears rows once the log has them durably, in order."""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.session.heard_log import HeardLog
from tune_jobs.study.rows import Row
from tune_jobs.testing.memory_log import MemoryLog
from tune_jobs.testing.rows import report_row


def test_rows_are_heard_once_and_after_they_are_durable() -> None:
    log, heard = MemoryLog(), []

    def listen(rows: Sequence[Row]) -> None:
        assert log.durable_after[-1] == rows[-1].seq
        heard.extend(rows)

    both = HeardLog(log, listen)
    assert both.append_many([report_row(0, 1)], more=True) == log.rows
    assert heard == []  # not durable yet
    both.append_many([report_row(0, 2), report_row(0, 3)])
    both.append_many([])
    assert heard == log.rows
    assert [row.seq for row in heard] == [1, 2, 3]
