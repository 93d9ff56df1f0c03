"""The rows of a running study as they are acknowledged, for its metrics and its shares of GPUs."""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.rows import RowLog
from tune_jobs.trial import ReportRow, Row


class RowTap:
    """A log that passes rows on and keeps what was acknowledged.

    Attributes:
        rows: every row of the study.
        num_reports: reports among those that passed.
    """

    def __init__(self, log: RowLog, rows: Sequence[Row]) -> None:
        self._log, self.rows = log, list(rows)
        self.num_reports = 0

    def append_many(self, rows: Sequence[Row]) -> list[Row]:
        stored = self._log.append_many(rows)
        self.rows += stored
        self.num_reports += sum(isinstance(row, ReportRow) for row in stored)
        return stored
