"""The ledger of a study: its worker-seconds by class, as a pure function of its rows.

A session has workers x seconds, from its start to its end (a killed session ends with its last row). An
attempt holds a worker from the instant at which it gets it until the attempt ends. Each second of this time
belongs to one class:

* ``completed``, ``stopped``, ``failed``, ``unfinished``: training of epochs, by the end of the trial. An
epoch that was under way when the attempt ended counts too.
* ``redone``: epochs that an earlier attempt had reported, and the time of an interrupted attempt after its
last report.
* ``start-up: workers``: from the session's start until a worker has the first attempt (in this time Ray
starts), and from the start of each attempt until its function is called.
* ``start-up: process``: the same time of a run in one process, which has neither workers nor Ray.
* ``start-up: imports``, ``start-up: data``: the time of this function for its code, and for the data set and
the network (if a training function yields its epochs, the first epoch contains the latter).
* ``start-up: first step``: the first step of the first epoch, in which a device loads its kernels.
* ``overhead``: the other time of an attempt (reporting, deciding, saving, measuring a latency).
* ``idle``: workers without an attempt, including workers that start again. This is the remainder, so that the
classes add up to the whole.

Called by `tune_jobs.report.ledger` for its table, and by `tune_jobs.on_ray.prometheus` in a running driver.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tune_jobs.study.events import (
    AttemptEnded,
    AttemptStarted,
    Detail,
    SessionStarted,
    detail_of,
    preparing_s,
)
from tune_jobs.study.rows import EventRow, ReportRow, Row, StartRow, State, TrialRow

Seconds = defaultdict[str, float]

WHOLE = frozenset({State.COMPLETED, State.STOPPED, State.INFEASIBLE})
"""The states of trials that end with a report, so that no epoch is under way at their end."""

WORKERS, PROCESS, IMPORTS, DATA, FIRST_STEP = (
    f"start-up: {part}" for part in ("workers", "process", "imports", "data", "first step")
)

CLASSES = (
    "completed",
    "stopped",
    "failed",
    "unfinished",
    "redone",
    *(WORKERS, PROCESS, IMPORTS, DATA, FIRST_STEP),
    "overhead",
    "idle",
)


@dataclass(slots=True, kw_only=True)
class HeldAttempt:
    """One attempt within a session."""

    number: int
    attempt: int
    handed_out_at: datetime
    held_since: datetime | None = None
    ended_at: datetime | None = None
    began_at: datetime | None = None
    preparing_s: dict[str, float] = field(default_factory=dict)
    reports: list[ReportRow] = field(default_factory=list)

    @property
    def first_epoch_at(self) -> datetime | None:
        """The instant at which its first epoch began; None if no message shows that it began."""
        if self.began_at is None and self.reports:
            return self.reports[0].reported_at - timedelta(seconds=self.reports[0].epoch_s or 0.0)
        return self.began_at

    @property
    def last_heard_at(self) -> datetime | None:
        """The instant at which the epoch after its last report began; None if no epoch had begun."""
        return self.reports[-1].reported_at if self.reports else self.began_at


@dataclass(slots=True, kw_only=True)
class SessionSpan:
    """One session: its begin and end, its number of workers, and the attempts that these held.

    `nodes` are those of its attempts; Ray gives each attempt a node, and a run in one process has none.
    """

    began_at: datetime
    ended_at: datetime
    workers: int | None
    attempts: dict[tuple[int, int], HeldAttempt] = field(default_factory=dict)
    nodes: set[str | None] = field(default_factory=set)

    @property
    def in_one_process(self) -> bool:
        """Whether its attempts ran in the driver's process; False if none of them began."""
        return self.nodes == {None}

    def iter_held(self) -> Iterator[tuple[HeldAttempt, datetime, datetime]]:
        """The attempts that had a worker, each with the instants at which it got and left it."""
        for held in self.attempts.values():
            if held.held_since is not None:
                yield held, held.held_since, held.ended_at or self.ended_at


def account(rows: Iterable[Row]) -> Seconds:
    """Worker-seconds by class; they add up to workers x wall time over all sessions."""
    ordered = sorted(rows, key=lambda row: row.seq)
    states = {row.number: str(row.state) for row in ordered if isinstance(row, TrialRow)}
    last_attempts = _last_attempts(ordered)
    seconds: Seconds = defaultdict(float)
    seen: set[tuple[int, int]] = set()
    for session in sessions_of(ordered):
        spent: Seconds = defaultdict(float)
        for held, since, until in session.iter_held():
            cut_short = held.attempt < last_attempts[held.number]
            state = states.get(held.number, "unfinished")
            _add(spent, _account_attempt(held, since, until, state, cut_short, seen))
        workers = session.workers or _most_at_once(session)
        first = min((since for _, since, _ in session.iter_held()), default=session.ended_at)
        spent[WORKERS] += workers * _seconds(session.began_at, first)
        whole = workers * _seconds(session.began_at, session.ended_at)
        spent["idle"] += max(0.0, whole - sum(spent.values()))
        if session.in_one_process:
            spent[PROCESS] = spent.pop(WORKERS)
        _add(seconds, spent)
    return seconds


def sessions_of(ordered: Sequence[Row]) -> list[SessionSpan]:
    """The sessions of a study with the attempts that held a worker, from its rows by `seq`."""
    sessions: list[SessionSpan] = []
    for row in ordered:
        at = _instant(row)
        detail = detail_of(row) if isinstance(row, EventRow) else None
        if isinstance(detail, SessionStarted):
            sessions.append(SessionSpan(began_at=at, ended_at=at, workers=detail.workers))
        if sessions:
            session = sessions[-1]
            session.ended_at = max(session.ended_at, at)
            _note(session, row, detail)
    return sessions


def _note(session: SessionSpan, row: Row, detail: Detail | None) -> None:
    if isinstance(row, TrialRow) or row.number is None or row.attempt is None:
        return
    if isinstance(row, StartRow):
        session.attempts[row.number, row.attempt] = HeldAttempt(
            number=row.number, attempt=row.attempt, handed_out_at=row.started_at
        )
    held = session.attempts.get((row.number, row.attempt))
    if held is None:
        return
    if isinstance(row, ReportRow):
        held.held_since = held.held_since or held.handed_out_at
        held.reports.append(row)
    elif isinstance(row, EventRow) and detail is not None:
        held.held_since = held.held_since or _held_since(held, row, detail)
        held.preparing_s |= preparing_s(detail)
        if isinstance(detail, AttemptStarted):
            session.nodes.add(row.node)
        if isinstance(detail, AttemptStarted) and detail.data_s is not None:
            held.began_at = row.happened_at
        if isinstance(detail, AttemptEnded):
            held.ended_at = row.happened_at


def _held_since(held: HeldAttempt, row: EventRow, detail: Detail) -> datetime | None:
    """The instant at which an attempt got its worker, by its first event; None if it had no worker."""
    if isinstance(detail, AttemptStarted):
        return held.handed_out_at + timedelta(seconds=detail.waited_s or 0.0)
    return row.happened_at - timedelta(seconds=row.duration_s) if row.duration_s else None


def _account_attempt(
    held: HeldAttempt,
    since: datetime,
    until: datetime,
    state: str,
    cut_short: bool,
    seen: set[tuple[int, int]],
) -> Seconds:
    spent = _account_preparing(held, since, until)
    whole = _seconds(since, until)
    first_step = held.preparing_s.get("first_step_s", 0.0)
    for report in held.reports:
        key = report.number, report.epoch
        epoch_s = report.epoch_s or 0.0
        first_step = min(first_step, epoch_s)
        spent[FIRST_STEP] += first_step
        spent["redone" if key in seen else state] += epoch_s - first_step
        first_step = 0.0
        seen.add(key)
    rest = max(0.0, whole - sum(spent.values()))
    ended_by_report = state in WHOLE and not cut_short
    if held.last_heard_at is not None and not ended_by_report:
        under_way = min(rest, _seconds(held.last_heard_at, until))
        spent["redone" if cut_short else state] += under_way
        rest -= under_way
    spent["redone" if cut_short else "overhead"] += rest
    return spent


def _account_preparing(held: HeldAttempt, since: datetime, until: datetime) -> Seconds:
    """The seconds of an attempt until its first epoch, by the parts that its messages name."""
    spent: Seconds = defaultdict(float)
    left = _seconds(since, held.first_epoch_at or until)
    for name, part in (("imports_s", IMPORTS), ("data_s", DATA), ("latency_s", "overhead")):
        spent[part] = min(left, held.preparing_s.get(name, 0.0))
        left -= spent[part]
    spent[WORKERS] = left
    return spent


def _most_at_once(session: SessionSpan) -> int:
    """The most attempts that were held at once: the number of workers, if the session's event has none."""
    changes = sorted(
        change for _, since, until in session.iter_held() for change in ((since, 1), (until, -1))
    )
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _last_attempts(rows: Sequence[Row]) -> dict[int, int]:
    last: dict[int, int] = {}
    for row in rows:
        if isinstance(row, StartRow):
            last[row.number] = max(last.get(row.number, 0), row.attempt)
    return last


def _instant(row: Row) -> datetime:
    if isinstance(row, StartRow):
        return row.started_at
    if isinstance(row, ReportRow):
        return row.reported_at
    return row.ended_at if isinstance(row, TrialRow) else row.happened_at


def _add(total: Seconds, part: Seconds) -> None:
    for name, value in part.items():
        total[name] += value


def _seconds(start: datetime, end: datetime) -> float:
    """The seconds between two instants; 0 if a clock stepped back between them."""
    return max(0.0, (end - start).total_seconds())
