"""What a study's rows say so far: its trials, their reports, its rungs and its counts.

`History` folds rows in the order of their `seq`; equal rows give equal histories, whether they are folded
as they are acknowledged (the session) or read back from a store (resuming, auditing, analysis). It reads no
clock and no disk, and decides nothing: `tune_jobs.search.asha` and `tune_jobs.search.sampler` do, from what
stands here. Folding one row costs the same however long the history is (a rung keeps its values sorted: a
memory move of a few kilobytes).
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right, insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from eml_models.errors import InvalidValueError
from tune_jobs.search.given import Point, ToldTrial, points_from_json, told_from_json
from tune_jobs.space import Params
from tune_jobs.study import Direction, Study
from tune_jobs.trial import EventKind, EventRow, ReportRow, Row, StartRow, State, TrialRow, as_json_text

DIVERGED = "diverged"
"""How the reason of a failed trial begins if its training diverged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial as far as the rows tell: a frozen snapshot, replaced whenever a row changes it.

    Attributes:
        attempts: how often it was handed out so far; 0 for a refused proposal.
        reports: the first acknowledged report of each epoch, in order of epoch.
        end: the row that ended it; None while it is unfinished.
        in_hand: whether its latest attempt was handed out and has not ended as far as the rows tell (after a
            kill that is so until the next attempt).
        first_started_at: the instant of its first row.
        held_s: how long its earlier attempts held their resources; one that a kill cut short counts until its
            last row.
    """

    number: int
    trial_id: str
    params: Params
    first_started_at: datetime
    attempts: int = 0
    reports: tuple[ReportRow, ...] = ()
    end: TrialRow | None = None
    in_hand: bool = False
    held_s: float = 0.0
    attempt_started_at: datetime | None = None
    last_seen_at: datetime | None = None

    @property
    def state(self) -> State | None:
        """How it ended; None while it is unfinished."""
        return self.end.state if self.end else None

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
        return self.end is not None and self.state is State.FAILED and self.end.reason.startswith(DIVERGED)

    @property
    def trained(self) -> bool:
        """Whether it ended and counts towards the study's trials: all but refused proposals."""
        return self.end is not None and self.attempts > 0

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
    """The values reported at one rung: sorted ascending, and who reported what."""

    values: list[float] = field(default_factory=list)
    reports: dict[int, ReportRow] = field(default_factory=dict)


NUM_BEST = 25
"""So many of the best trials TPE tells from the rest, at most."""


@dataclass(slots=True)
class Ranking:
    """The best ended trials, best first: completed ones by value, stopped ones as Optuna ranks pruned ones.

    That is by their last epoch and then by its value. Kept as rows come, so that it costs the same however
    long the history is.
    """

    completed: list[tuple[float, int]] = field(default_factory=list)
    stopped: list[tuple[int, float, int]] = field(default_factory=list)

    def add(self, record: TrialRecord, *, metric: str, sign: float) -> None:
        """Add a trial that has just ended; `sign` makes smaller better."""
        if record.state is State.COMPLETED and record.objective is not None:
            insort(self.completed, (sign * record.objective, record.number))
            del self.completed[NUM_BEST:]
        elif record.state is State.STOPPED and record.reports:
            last = record.reports[-1]
            value = getattr(last, metric)
            insort(self.stopped, (-last.epoch, math.inf if value is None else sign * value, record.number))
            del self.stopped[NUM_BEST:]


class History:
    """The fold of a study's rows.

    Only `apply` changes it. A trial that has ended stays as it ended: what a late worker still says of it
    changes nothing.

    Attributes:
        seq: of the last row folded; 0 before the first.
        trials: records by number, in the order of their first rows.
        counts: ended trials by state.
        rungs: what was reported at each of the study's rungs, by the rung's epoch.
        best: the completed trial with the best objective, the earlier one on ties.
        num_trained: ended trials that count towards the study's trials.
        next_number: of the next proposal.
        enqueued: points that are to be tried before the sampler is asked, in order.
        num_dequeued: proposals so far that were such points.
        retried: failed trials in whose place another is tried; they no longer count as trained.
        told: trials of other studies, to learn from.
        origins: where they are from.
        failed_in_a_row: trials that failed since the last one that ran to an end; a diverged one neither
            counts nor ends the row.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.seq = 0
        self.trials: dict[int, TrialRecord] = {}
        self.counts: Counter[State] = Counter()
        self.rungs: dict[int, Rung] = {epoch: Rung() for epoch in study.rungs}
        self.best: TrialRecord | None = None
        self.num_trained = 0
        self.next_number = 0
        self._ranking = Ranking()
        self.enqueued: deque[Point] = deque()
        self.num_dequeued = 0
        self.retried: set[int] = set()
        self._known_points: set[str] = set()
        self.told: list[ToldTrial] = []
        self.origins: list[str] = []
        self.failed_in_a_row = 0
        self._rung_epochs = study.rungs
        self._unfinished: set[int] = set()

    @classmethod
    def from_rows(cls, study: Study, rows: Iterable[Row]) -> History:
        """The history of rows in any order."""
        history = cls(study)
        for row in sorted(rows, key=lambda row: row.seq):
            history.apply(row)
        return history

    @classmethod
    def at(cls, study: Study, rows: Iterable[Row], seq: int) -> History:
        """The history that a row with ``history_seq == seq`` knew; for auditing proposals and decisions."""
        return cls.from_rows(study, (row for row in rows if row.seq <= seq))

    def apply(self, row: Row) -> None:
        """Fold the next acknowledged row.

        Raises:
            InvalidValueError: a row of another study, out of order, or of a trial that never started.
        """
        if row.study != self.study.name:
            raise InvalidValueError(
                f"row {row.seq} is of study {row.study!r}, this is study {self.study.name!r}"
            )
        if row.seq <= self.seq:
            raise InvalidValueError(f"rows come in rising order of seq: got {row.seq} after {self.seq}")
        if isinstance(row, StartRow):
            self._apply_start(row)
        elif isinstance(row, ReportRow):
            self._apply_report(row)
        elif isinstance(row, TrialRow):
            self._apply_end(row)
        else:
            self._apply_event(row)
        self.seq = row.seq

    @property
    def best_numbers(self) -> list[int]:
        """The best completed trials and the best stopped ones, so many of each that TPE may call best."""
        ranking = self._ranking
        return [number for _, number in ranking.completed] + [number for _, _, number in ranking.stopped]

    def knows_point(self, params: Params) -> bool:
        """Whether these params were enqueued before."""
        return as_json_text(params) in self._known_points

    def unfinished(self) -> Iterator[TrialRecord]:
        """The trials that were handed out and have not ended, in order of number."""
        return (self.trials[number] for number in sorted(self._unfinished))

    def in_hand(self) -> Iterator[TrialRecord]:
        """The unfinished trials that a worker holds as far as the rows tell, in order of number."""
        return (record for record in self.unfinished() if record.in_hand)

    def rung_of(self, number: int, epoch: int) -> int | None:
        """The rung that a trial's report of `epoch` belongs to; None if it belongs to none.

        That is the rung's own epoch; for a training function that does not report every epoch it is the first
        report past the rung, since otherwise such a trial would never be compared.
        """
        record = self.trials.get(number)
        earlier = record.reports if record else ()
        index = bisect_right(earlier, epoch, key=lambda report: report.epoch)
        if index and earlier[index - 1].epoch == epoch:
            index -= 1
        previous = earlier[index - 1].epoch if index else 0
        return rung_between(self._rung_epochs, previous, epoch)

    def _apply_start(self, row: StartRow) -> None:
        record = self.trials.get(row.number)
        if record is None:
            record = self._propose(row, row.started_at)
        if record.end is not None:
            return
        self._unfinished.add(row.number)
        self.trials[row.number] = replace(
            _released(record),
            attempts=max(record.attempts, row.attempt),
            in_hand=True,
            attempt_started_at=row.started_at,
            last_seen_at=row.started_at,
        )

    def _propose(self, row: StartRow | TrialRow, at: datetime) -> TrialRecord:
        """A proposal's first row: it takes the first enqueued point, if there is one."""
        self.next_number = max(self.next_number, row.number + 1)
        if self.enqueued:
            self.enqueued.popleft()
            self.num_dequeued += 1
        return _record_of(row, at)

    def _apply_report(self, row: ReportRow) -> None:
        record = self._record(row, row.number)
        if record.end is not None:
            return
        index = bisect_right(record.reports, row.epoch, key=lambda report: report.epoch)
        known = index > 0 and record.reports[index - 1].epoch == row.epoch
        reports = record.reports if known else (*record.reports[:index], row, *record.reports[index:])
        if not known and (rung := self.rung_of(row.number, row.epoch)) is not None:
            self._add_to_rung(self.rungs[rung], row)
        self.trials[row.number] = replace(record, reports=reports, last_seen_at=row.reported_at)

    def _add_to_rung(self, rung: Rung, row: ReportRow) -> None:
        value = getattr(row, self.study.objective.metric)
        if row.number in rung.reports:
            return
        rung.reports[row.number] = row
        if value is not None:
            insort(rung.values, value)

    def _apply_end(self, row: TrialRow) -> None:
        record = self.trials.get(row.number)
        if record is None:
            if row.attempt:
                raise InvalidValueError(f"row {row.seq} ends trial {row.number}, which never started")
            record = self._propose(row, row.ended_at)
        if record.end is not None:
            return
        record = replace(record, end=row, last_seen_at=row.ended_at)
        self.trials[row.number] = record
        self._unfinished.discard(row.number)
        self.counts[row.state] += 1
        sign = -1.0 if self.study.objective.direction is Direction.MAXIMIZE else 1.0
        self._ranking.add(record, metric=self.study.objective.metric, sign=sign)
        self.num_trained += record.trained
        if row.state in (State.COMPLETED, State.STOPPED):
            self.failed_in_a_row = 0
        elif row.state is State.FAILED and not record.diverged:
            self.failed_in_a_row += 1
        if row.state is State.COMPLETED and self._is_new_best(row):
            self.best = record

    def _is_new_best(self, row: TrialRow) -> bool:
        if row.objective is None:
            return False
        best = self.best.objective if self.best else None
        return best is None or self.study.objective.is_better(row.objective, best)

    def _apply_event(self, row: EventRow) -> None:
        if row.kind is EventKind.ENQUEUED:
            self._enqueue(points_from_json(row.detail))
        elif row.kind is EventKind.WARM_STARTED:
            origin, told = told_from_json(self.study, row)
            self.origins.append(origin)
            self.told += told
        if row.number is None or row.number not in self.trials:
            return
        record = self.trials[row.number]
        if row.kind is not EventKind.ATTEMPT_ENDED:
            self.trials[row.number] = replace(record, last_seen_at=row.happened_at)
        elif record.in_hand and row.attempt == record.attempts:
            seconds = _held_s(record) if row.duration_s is None else row.duration_s
            self.trials[row.number] = replace(record, in_hand=False, held_s=record.held_s + seconds)

    def _enqueue(self, points: Iterable[Point]) -> None:
        for point in points:
            self.enqueued.append(point)
            self._known_points.add(as_json_text(point.params))
            if point.retry_of is None or point.retry_of in self.retried:
                continue
            failed = self.trials.get(point.retry_of)
            if failed is not None and failed.state is State.FAILED:
                self.retried.add(point.retry_of)
                self.num_trained -= failed.trained

    def _record(self, row: Row, number: int) -> TrialRecord:
        if number not in self.trials:
            raise InvalidValueError(f"row {row.seq} is a report of trial {number}, which never started")
        return self.trials[number]


def rung_between(rungs: Sequence[int], previous: int, epoch: int) -> int | None:
    """The highest rung after epoch `previous` and not after `epoch`; None if there is none."""
    index = bisect_right(rungs, epoch)
    return rungs[index - 1] if index and rungs[index - 1] > previous else None


def _record_of(row: StartRow | TrialRow, at: datetime) -> TrialRecord:
    return TrialRecord(
        number=row.number, trial_id=row.trial_id, params=params_from_json(row.params), first_started_at=at
    )


def params_from_json(text: str) -> Params:
    """The params that a row holds as JSON text; lists are tuples again."""
    params = json.loads(text)
    return {name: tuple(value) if isinstance(value, list) else value for name, value in params.items()}


def _released(record: TrialRecord) -> TrialRecord:
    """The record once its latest attempt no longer counts as held, although no row said that it ended."""
    return replace(record, held_s=record.held_s + _held_s(record)) if record.in_hand else record


def _held_s(record: TrialRecord) -> float:
    """From handing out the latest attempt to its last row; never negative, since clocks may step."""
    if record.attempt_started_at is None or record.last_seen_at is None:
        return 0.0
    return max(0.0, (record.last_seen_at - record.attempt_started_at).total_seconds())
