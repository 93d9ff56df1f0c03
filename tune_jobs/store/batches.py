"""Batches: the rows that a writer has acknowledged and not yet published, and when it is time to.

Counts and clocks only; `writer` does the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tune_jobs.study.rows import ReportRow, Row, TrialRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPolicy:
    """When a batch is published: at the first limit that it reaches.

    Each file costs every reader 0.2-1.6 ms, so batches are not small; each limit bounds how old the rows can
    be that other tools see. Our own readers see every acknowledged row at once.
    """

    trials: int = 64
    reports: int = 2048
    seconds: float = 30.0


@dataclass(slots=True)
class Batch:
    """Rows that are acknowledged and not yet published; they stand in the journal of this name."""

    name: str
    since: float
    rows: list[Row]
    trials: int = 0
    reports: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += rows
        self.trials += sum(isinstance(row, TrialRow) for row in rows)
        self.reports += sum(isinstance(row, ReportRow) for row in rows)

    def is_due(self, policy: PublishPolicy, now: float) -> bool:
        return (
            self.trials >= policy.trials
            or self.reports >= policy.reports
            or now - self.since >= policy.seconds
        )
