"""A log of rows in memory, in the place of a store's writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tune_jobs.study.rows import ReportRow, Row, StartRow, TrialRow

R = TypeVar("R", bound=Row)


@dataclass
class MemoryLog:
    """Numbers rows as a store's writer does, and keeps them; a session writes to it (`RowLog`).

    Attributes:
        durable_after: for each time at which a writer would have synced its rows, `seq` of the last of them.
    """

    rows: list[Row] = field(default_factory=list)
    durable_after: list[int] = field(default_factory=list)

    def append_many(self, rows: Sequence[R], *, more: bool = False) -> list[R]:
        """The rows as they are kept, each with its `seq`."""
        seq = self.rows[-1].seq if self.rows else 0
        kept = [replace(row, seq=seq + index) for index, row in enumerate(rows, start=1)]
        self.rows += kept
        if kept and not more:
            self.durable_after.append(kept[-1].seq)
        return kept

    def of(self, kind: type[R]) -> list[R]:
        """The rows of one kind, in order."""
        return [row for row in self.rows if isinstance(row, kind)]

    @property
    def trials(self) -> list[TrialRow]:
        return self.of(TrialRow)

    @property
    def reports(self) -> list[ReportRow]:
        return self.of(ReportRow)

    @property
    def starts(self) -> list[StartRow]:
        return self.of(StartRow)
