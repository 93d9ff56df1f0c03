"""The values that `History` folds rows into: a record per trial, the reports of a rung, the ranking of the
ended.

Plain values: only `history` makes and changes them.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass, field
from datetime import datetime

from tune_jobs.search.objectives import Point
from tune_jobs.study.rows import Failure, ReportRow, State, TrialRow
from tune_jobs.study.space import Params


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial as far as the rows tell: a frozen snapshot, replaced whenever a row changes it.

    Attributes:
        attempts: how often it was handed out so far; 0 for a refused proposal.
        num_crashed: attempts that ended before the trial did, because their worker crashed or hung. An
            attempt that a driver's end cut short does not count (no row says its end), nor does a too small
            share.
        reports: the first acknowledged report of each epoch, in order of epoch.
        end: the row that ended it; None while it is unfinished.
        in_hand: whether its latest attempt was handed out and has not ended as far as the rows tell (after a
            kill that is so until the next attempt).
        first_started_at: the instant of its first row.
        held_s: seconds that its earlier attempts held their resources; an attempt that a kill cut short
            counts until its last row.
        attempt_started_at: the instant at which its latest attempt got them: that of handing out, until a row
            says how long the attempt waited for a worker.
        point: the values of all objectives at its last epoch, where the study has several and it completed or
            was stopped.
    """

    number: int
    trial_id: str
    params: Params
    first_started_at: datetime
    attempts: int = 0
    num_crashed: int = 0
    reports: tuple[ReportRow, ...] = ()
    end: TrialRow | None = None
    in_hand: bool = False
    held_s: float = 0.0
    attempt_started_at: datetime | None = None
    last_seen_at: datetime | None = None
    point: Point | None = None

    @property
    def state(self) -> State | None:
        """How it ended; None while it is unfinished."""
        return self.end.state if self.end else None

    @property
    def in_hand_s(self) -> float:
        """What its latest attempt has held to be added to `held_s`: until its last row, if it is in hand.

        Never negative, since clocks may step.
        """
        if not self.in_hand or self.attempt_started_at is None or self.last_seen_at is None:
            return 0.0
        return max(0.0, (self.last_seen_at - self.attempt_started_at).total_seconds())

    @property
    def reason(self) -> str | None:
        """Why it ended, in words; None while it is unfinished."""
        return self.end.reason if self.end else None

    @property
    def objective(self) -> float | None:
        """The value at its last epoch; None while it is unfinished, and where it has none."""
        return self.end.objective if self.end else None

    @property
    def diverged(self) -> bool:
        """Whether it failed because its training diverged."""
        return self.end is not None and self.end.failure is Failure.DIVERGED

    @property
    def trained(self) -> bool:
        """Whether it ended and counts towards the study's trials: all but refused proposals."""
        return self.end is not None and self.attempts > 0 and self.state is not State.INFEASIBLE

    @property
    def last_epoch(self) -> int:
        """The latest epoch that it reported; 0 before the first."""
        return self.reports[-1].epoch if self.reports else 0

    @property
    def decisions(self) -> tuple[ReportRow, ...]:
        """The reports at which a rung decided, in order of epoch."""
        return tuple(report for report in self.reports if report.decision is not None)

    def values(self, metric: str) -> dict[int, float]:
        """The metric by epoch, where it was reported."""
        values = ((report.epoch, getattr(report, metric)) for report in self.reports)
        return {epoch: value for epoch, value in values if value is not None}


@dataclass(slots=True)
class Rung:
    """What was reported at one rung: the first objective's values, ascending, and who reported what.

    Where a study has several objectives, `points` holds all of their values by trial, as far as they were
    asked for (`History.rung_points`); None where one is missing.
    """

    values: list[float] = field(default_factory=list)
    reports: dict[int, ReportRow] = field(default_factory=dict)
    points: dict[int, Point | None] = field(default_factory=dict)


NUM_BEST = 25
"""At most this many trials count as good in TPE."""


@dataclass(slots=True)
class Ranking:
    """The best ended trials, best first: completed ones by value, stopped ones as Optuna ranks pruned ones.

    That is by their last epoch and then by its value. Kept as rows come, so that it costs the same however
    long the history is.
    """

    completed: list[tuple[float, int]] = field(default_factory=list)
    stopped: list[tuple[int, float, int]] = field(default_factory=list)

    def add(self, record: TrialRecord, *, metric: str, sign: float) -> None:
        """Add a trial that has just ended; `sign` is the direction's."""
        if record.state is State.COMPLETED and record.objective is not None:
            insort(self.completed, (sign * record.objective, record.number))
            del self.completed[NUM_BEST:]
        elif record.state is State.STOPPED and record.reports:
            last = record.reports[-1]
            value = getattr(last, metric)
            insort(self.stopped, (-last.epoch, math.inf if value is None else sign * value, record.number))
            del self.stopped[NUM_BEST:]
