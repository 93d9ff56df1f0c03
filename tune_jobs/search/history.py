"""The history of a study, from its rows: its trials, their reports, its rungs and its counts.

`History` folds rows in the order of their `seq`. Equal rows give equal histories, whether the session folds
them as they are acknowledged, or a store gives them back (resuming, auditing, analysis). It reads no clock
and no disk, and decides nothing: `asha` and `sampler` decide from it. Folding one row costs the same however
long the history is (a rung keeps its values sorted: a memory move of a few kilobytes).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from eml_models.errors import InvalidValueError
from tune_jobs.feasible.cost import NetworkCost, count_cost
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.search.given import SourceTrial, source_trials_of
from tune_jobs.search.objectives import Point as ObjectivePoint
from tune_jobs.search.objectives import cost_of, final_point, point_of
from tune_jobs.search.pareto import non_dominated
from tune_jobs.search.records import Ranking, Rung, TrialRecord
from tune_jobs.study.definition import Study
from tune_jobs.study.events import AttemptStarted, Enqueued, Point, WarmStarted, detail_of
from tune_jobs.study.json_fields import params_from_json
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import (
    TRIED_AGAIN,
    EventKind,
    EventRow,
    ReportRow,
    Row,
    StartRow,
    State,
    TrialRow,
    as_json_text,
)


class History:
    """The fold of a study's rows.

    Only `apply` changes it. A trial that has ended stays as it ended: late rows of a worker change nothing.

    Attributes:
        seq: `seq` of the last row folded; 0 before the first.
        trials: records by number, in the order of their first rows.
        counts: ended trials by state.
        rungs: the reports at each of the study's rungs, by the rung's epoch.
        best: the completed trial with the best first objective; the earlier trial on ties.
        bests: each best objective so far, with the number of trained trials that had ended with it.
        front: the completed trials that no other beats; empty if there is one objective.
        num_trained: how many ended trials count towards the study's trials.
        next_number: the number of the next proposal.
        enqueued: the points to try before the proposals of the sampler, in order.
        num_dequeued: how many proposals so far were such points.
        retried: the failed trials that a new trial replaces; they no longer count as trained.
        source_trials: trials of other studies, to learn from.
        origins: the studies that `source_trials` come from.
        failed_in_a_row: how many trials have failed since the last trial that completed or was stopped. A
            diverged trial does not count, and does not start the count again.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.seq = 0
        self.trials: dict[int, TrialRecord] = {}
        self.counts: Counter[State] = Counter()
        self.rungs: dict[int, Rung] = {epoch: Rung() for epoch in study.rungs}
        self.best: TrialRecord | None = None
        self.bests: list[tuple[int, float]] = []
        self.front: list[TrialRecord] = []
        self.num_trained = 0
        self.next_number = 0
        self._ranking = Ranking()
        self.enqueued: deque[Point] = deque()
        self.num_dequeued = 0
        self.retried: set[int] = set()
        self._known_points: set[str] = set()
        self.source_trials: list[SourceTrial] = []
        self.origins: list[str] = []
        self.failed_in_a_row = 0
        self._rung_epochs = study.rungs
        self._unfinished: set[int] = set()
        self._several = len(study.objectives) > 1
        self._costs: dict[int, NetworkCost] = {}

    @classmethod
    def from_rows(cls, study: Study, rows: Iterable[Row]) -> History:
        """The history of rows that may come in any order."""
        history = cls(study)
        for row in sorted(rows, key=lambda row: row.seq):
            history.apply(row)
        return history

    @classmethod
    def at(cls, study: Study, rows: Iterable[Row], seq: int) -> History:
        """The history behind a row with ``history_seq == seq``; for auditing proposals and decisions."""
        return cls.from_rows(study, (row for row in rows if row.seq <= seq))

    def apply(self, row: Row) -> None:
        """Fold the next acknowledged row.

        Raises:
            InvalidValueError: a row of another study, out of order, or of a trial that never started.
        """
        if row.study != self.study.name:
            raise InvalidValueError(
                f"row {row.seq} belongs to study {row.study!r}, and this history to study {self.study.name!r}"
            )
        if row.seq <= self.seq:
            raise InvalidValueError(f"rows must come in rising order of seq, got {row.seq} after {self.seq}")
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
        """The best completed and the best stopped trials, of each kind as many as TPE may count as good."""
        ranking = self._ranking
        return [number for _, number in ranking.completed] + [number for _, _, number in ranking.stopped]

    def point_of(self, number: int, metrics: Mapping[str, float | None]) -> ObjectivePoint | None:
        """The values of the objectives of a trial that reports `metrics`; None if a value is missing."""
        return point_of(self.study, metrics, self._cost_of(number))

    def rung_points(self, rung: Rung) -> dict[int, ObjectivePoint]:
        """The values of all objectives at a rung, by trial, without the trials that lack a value.

        Computed when asked for: the row of an ended trial holds the costs of its network, so that only those
        of unfinished trials are counted from their params.
        """
        for number, row in rung.reports.items():
            if number not in rung.points:
                metrics = {name: row.value(name) for name in self.study.metrics}
                rung.points[number] = self.point_of(number, metrics)
        return {number: point for number, point in rung.points.items() if point is not None}

    def _cost_of(self, number: int) -> NetworkCost | None:
        """The cost of a trial's network; None if no objective is a cost."""
        if len(self.study.metrics) == len(self.study.objectives):
            return None
        if number not in self._costs:
            record = self.trials[number]
            self._costs[number] = cost_of(record.end) or count_cost(
                resolve_recipe(self.study, record.params, number)
            )
        return self._costs[number]

    def knows_point(self, params: Params) -> bool:
        """Whether these params were enqueued before."""
        return as_json_text(params) in self._known_points

    def unfinished(self) -> Iterator[TrialRecord]:
        """The trials that were handed out and have not ended, in order of number."""
        return (self.trials[number] for number in sorted(self._unfinished))

    def in_hand(self) -> Iterator[TrialRecord]:
        """The unfinished trials that a worker holds according to the rows, in order of number."""
        return (record for record in self.unfinished() if record.in_hand)

    def rung_of(self, number: int, epoch: int) -> int | None:
        """The rung that a trial's report of `epoch` belongs to; None if it belongs to none.

        A rung takes the report of its own epoch. If the training function does not report that epoch, the
        rung takes the first report after it: otherwise such a trial would never be compared.
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
        """The record of a proposal's first row; the proposal takes the first enqueued point, if any."""
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
        self.trials[row.number] = replace(
            record,
            reports=reports,
            acknowledged={**record.acknowledged, row.attempt: row.epoch},
            last_seen_at=row.reported_at,
        )

    def _add_to_rung(self, rung: Rung, row: ReportRow) -> None:
        value = row.value(self.study.objective.metric)
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
        point = final_point(self.study, row) if self._several else None
        record = replace(record, end=row, last_seen_at=row.ended_at, point=point)
        self.trials[row.number] = record
        self._unfinished.discard(row.number)
        self.counts[row.state] += 1
        objective = self.study.objective
        self._ranking.add(record, metric=objective.metric, sign=objective.direction.sign)
        self.num_trained += record.trained
        if row.state in (State.COMPLETED, State.STOPPED):
            self.failed_in_a_row = 0
        elif row.state is State.FAILED and not record.diverged:
            self.failed_in_a_row += 1
        value = row.objective
        if row.state is State.COMPLETED and value is not None and self._is_new_best(value):
            self.best = record
            self.bests.append((self.counts.total() - self.counts[State.INFEASIBLE], value))
        if row.state is State.COMPLETED and point is not None:
            self._add_to_front(record)

    def _add_to_front(self, record: TrialRecord) -> None:
        front = [*self.front, record]
        points = [member.point for member in front if member.point is not None]
        directions = [objective.direction for objective in self.study.objectives]
        self.front = [front[index] for index in non_dominated(points, directions)]

    def _is_new_best(self, value: float) -> bool:
        best = self.best.objective if self.best else None
        return best is None or self.study.objective.is_better(value, best)

    def _apply_event(self, row: EventRow) -> None:
        if row.kind is EventKind.ATTEMPT_ENDED:
            self._apply_attempt_end(row)
            return
        detail = detail_of(row)
        if isinstance(detail, Enqueued):
            self._enqueue(detail.points)
        elif isinstance(detail, WarmStarted):
            self.origins.append(detail.origin)
            self.source_trials += source_trials_of(
                detail, metric=self.study.objective.metric, at=row.happened_at
            )
        if row.number is None or row.number not in self.trials:
            return
        record = self.trials[row.number]
        began_at = record.attempt_started_at
        if isinstance(detail, AttemptStarted) and began_at is not None:
            began_at += timedelta(seconds=detail.waited_s or 0.0)
        self.trials[row.number] = replace(record, attempt_started_at=began_at, last_seen_at=row.happened_at)

    def _apply_attempt_end(self, row: EventRow) -> None:
        record = None if row.number is None else self.trials.get(row.number)
        if record is None or not record.in_hand or row.attempt != record.attempts:
            return
        seconds = record.in_hand_s if row.duration_s is None else row.duration_s
        self.trials[record.number] = replace(
            record,
            in_hand=False,
            held_s=record.held_s + seconds,
            # if the trial has ended, the attempt ended with it and did not crash
            num_crashed=record.num_crashed + (record.end is None and row.failure in TRIED_AGAIN),
        )

    def _enqueue(self, points: Sequence[Point]) -> None:
        self.enqueued.extendleft(point for point in reversed(points) if point.first)
        self.enqueued.extend(point for point in points if not point.first)
        for point in points:
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
    """The highest rung after epoch `previous` and up to `epoch`; None if there is none."""
    index = bisect_right(rungs, epoch)
    return rungs[index - 1] if index and rungs[index - 1] > previous else None


def _record_of(row: StartRow | TrialRow, at: datetime) -> TrialRecord:
    return TrialRecord(
        number=row.number,
        trial_id=row.trial_id,
        params=params_from_json(row.params),
        first_started_at=at,
        recipe=row.recipe if isinstance(row, StartRow) else None,
    )


def _released(record: TrialRecord) -> TrialRecord:
    """The record after its latest attempt has ended without a row of its end."""
    return replace(record, held_s=record.held_s + record.in_hand_s)
