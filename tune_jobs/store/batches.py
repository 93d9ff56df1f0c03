"""Batches: rows that a writer has acknowledged and not yet published, and the limits that end a batch.

Counts rows and compares instants; `writer` writes and publishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tune_jobs.study.rows import ReportRow, Row, TrialRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPolicy:
    """Limits of a batch; it is published when it reaches the first of them.

    Each file costs every reader 0.2-1.6 ms, so a batch is not small. Other tools see a row only when its
    batch is published, so a batch is not large or old. `reader` sees every acknowledged row at once.

    Attributes:
        trials: ended trials.
        reports: reports of epochs.
        seconds: age of the batch's first row, in seconds.
    """

    trials: int = 64
    reports: int = 2048
    seconds: float = 30.0


@dataclass(slots=True)
class Batch:
    """Rows that are acknowledged and not yet published.

    Attributes:
        name: of the batch, of its journal and of its published files.
        since: the instant at which it was begun, in seconds of the writer's clock.
    """

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
