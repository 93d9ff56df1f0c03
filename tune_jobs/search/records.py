"""The values that `History` folds rows into: records of trials, the reports of rungs, the best trials.

Plain values. Only `history` makes and changes them, apart from `optuna_view`, which makes records of trials
of other studies.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tune_jobs.search.objectives import Point
from tune_jobs.study.own_training import costs_of_recipe
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import Failure, ReportRow, State, TrialRow


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial according to its rows: a frozen snapshot, replaced whenever a row changes it.

    Attributes:
        attempts: how often it was handed out so far; 0 for a refused proposal.
        num_crashed: attempts whose worker crashed or hung, and after which the trial was tried again. An
            attempt cut short because the driver ended does not count (it has no row of its end), nor does an
            attempt whose GPU share was too small.
        reports: the first acknowledged report of each epoch, in order of epoch.
        acknowledged: the epoch of the last acknowledged report of each attempt that has any, by the number of
            the attempt; repeated epochs count here.
        end: the row of its end; None while it is unfinished.
        in_hand: whether its latest attempt has no row of its end (after a kill, until the next).
        first_started_at: the instant of its first row.
        held_s: seconds for which its earlier attempts held their resources; an attempt that a kill cut short
            counts until its last row.
        attempt_started_at: the instant at which its latest attempt got its resources. Until a row holds how
            long it waited for a worker, the instant of handing out.
        recipe: the text of its recipe at its first start; None for a refused proposal.
        point: the values of all objectives at its last epoch, if the study has several objectives and the
            trial completed or was stopped; else None.
    """

    number: int
    trial_id: str
    params: Params
    first_started_at: datetime
    attempts: int = 0
    num_crashed: int = 0
    reports: tuple[ReportRow, ...] = ()
    acknowledged: Mapping[int, int] = field(default_factory=dict)
    end: TrialRow | None = None
    in_hand: bool = False
    held_s: float = 0.0
    attempt_started_at: datetime | None = None
    last_seen_at: datetime | None = None
    recipe: str | None = None
    point: Point | None = None

    @property
    def costs(self) -> Mapping[str, float]:
        """The costs of own training that its study computed as it was proposed, by name."""
        return {} if self.recipe is None else costs_of_recipe(self.recipe)

    @property
    def state(self) -> State | None:
        """How it ended; None while it is unfinished."""
        return self.end.state if self.end else None

    @property
    def in_hand_s(self) -> float:
        """Seconds for which an attempt in hand held its resources until its last row; 0 if none is in hand.

        Never negative, although clocks may step back.
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
        """The first objective at its last epoch; None while it is unfinished, and if it has no value."""
        return self.end.objective if self.end else None

    @property
    def diverged(self) -> bool:
        """Whether it failed because its training diverged."""
        return self.end is not None and self.end.failure is Failure.DIVERGED

    @property
    def trained(self) -> bool:
        """Whether it ended and counts towards the study's trials: each ended trial that is not infeasible."""
        return self.end is not None and self.attempts > 0 and self.state is not State.INFEASIBLE

    @property
    def last_epoch(self) -> int:
        """The latest epoch that it reported; 0 before the first report."""
        return self.reports[-1].epoch if self.reports else 0

    @property
    def decisions(self) -> tuple[ReportRow, ...]:
        """The reports at which a rung decided, in order of epoch."""
        return tuple(report for report in self.reports if report.decision is not None)

    def values(self, metric: str) -> dict[int, float]:
        """The metric by epoch, where it was reported."""
        values = ((report.epoch, report.value(metric)) for report in self.reports)
        return {epoch: value for epoch, value in values if value is not None}


@dataclass(slots=True)
class Rung:
    """The reports at one rung: by trial, and the values of the first objective in ascending order.

    With several objectives, `points` holds the values of all objectives by trial, computed when
    `History.rung_points` asks for them; None if a value is missing.
    """

    values: list[float] = field(default_factory=list)
    reports: dict[int, ReportRow] = field(default_factory=dict)
    points: dict[int, Point | None] = field(default_factory=dict)


NUM_BEST = 25
"""At most this many trials count as good in TPE."""


@dataclass(slots=True)
class Ranking:
    """The best ended trials, best first: completed by value, and stopped as Optuna ranks pruned trials.

    Optuna ranks pruned trials by their last epoch, the highest first, then by its value. A row costs the same
    however long the history is.
    """

    completed: list[tuple[float, int]] = field(default_factory=list)
    stopped: list[tuple[int, float, int]] = field(default_factory=list)

    def add(self, record: TrialRecord, *, metric: str, sign: float) -> None:
        """Add a trial that has just ended; `sign` makes less better."""
        if record.state is State.COMPLETED and record.objective is not None:
            insort(self.completed, (sign * record.objective, record.number))
            del self.completed[NUM_BEST:]
        elif record.state is State.STOPPED and record.reports:
            last = record.reports[-1]
            value = last.value(metric)
            insort(self.stopped, (-last.epoch, math.inf if value is None else sign * value, record.number))
            del self.stopped[NUM_BEST:]
