"""The workers over time: which trial each trained, and when they had nothing to do."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from eml_models.wording import count_of, duration_of
from tune_jobs.analysis.ledger import sessions_of
from tune_jobs.report.figures.colours import BLUE, STATE_COLOURS
from tune_jobs.report.figures.figure import Figure, Spec, Undrawn
from tune_jobs.report.figures.marks import TIP, colours, layer, names, numbers
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.tables import Table

NAME, TITLE = "timeline", "Workers over time"

MOST_BARS = 400
PARTS = 120
"""The number of parts of the time, where there are too many attempts to draw each."""

MOST_LANES = 32

SLACK = 1e-6
"""Seconds by which rounding may let an attempt begin before the last one of its worker has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An attempt with its worker, in seconds of sessions from the first start."""

    lane: int
    number: int
    attempt: int
    state: str
    since: float
    until: float


class Lanes:
    """Gives each attempt the lowest lane that is free at its start; the attempts come by their starts."""

    def __init__(self) -> None:
        self._held: list[tuple[float, int]] = []
        self._free: list[int] = []

    def take(self, since: float, until: float) -> int:
        """The lane of an attempt."""
        while self._held and self._held[0][0] <= since + SLACK:
            heapq.heappush(self._free, heapq.heappop(self._held)[1])
        lane = heapq.heappop(self._free) if self._free else len(self._held)
        heapq.heappush(self._held, (until, lane))
        return lane


def timeline(seen: Seen) -> Figure | Undrawn:
    """A bar for each attempt, in the lane of its worker."""
    held = held_of(seen)
    if not held:
        return Undrawn(name=NAME, title=TITLE, why="no attempt has had a worker")
    lanes, end = 1 + max(bar.lane for bar in held), max(bar.until for bar in held)
    joined = len(held) > MOST_BARS or lanes > MOST_LANES
    busy = sum(bar.until - bar.since for bar in held)
    share = busy / (lanes * end) if end else 1.0
    parts = _parts(held, end) if joined else []
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            (
                "The area is the mean number of workers that trained."
                if joined
                else "A bar is an attempt of a trial on a worker."
            )
            + " Gaps are workers without an attempt. The time between sessions is left out."
        ),
        alt=(
            f"{count_of(len(held), 'attempt')} on up to {count_of(lanes, 'worker')} at once over"
            f" {duration_of(end)}; workers held an attempt {share:.0%} of the time."
        ),
        table=Table(
            title="Workers that trained, by time" if joined else "Attempts",
            columns=("second", "workers")
            if joined
            else ("worker", "trial", "attempt", "end", "from s", "to s"),
            rows=tuple(parts)
            if joined
            else tuple((b.lane + 1, b.number, b.attempt, b.state, b.since, b.until) for b in held),
        ),
        panels=[_area() if joined else _bars(held, lanes)],
        values=[{"x": x, "n": n} for x, n in parts] if joined else [_mark(bar) for bar in held],
        height=180 if joined else min(420, max(60, 26 * lanes)),
        notes=(f"{len(held):,} attempts are drawn together, in {PARTS} parts of the time.",)
        if joined
        else (),
    )


def held_of(seen: Seen) -> list[Held]:
    """The attempts that had a worker, each in the first lane that is free at its start."""
    states = {row.number: str(row.state) for row in seen.ends}
    found: list[Held] = []
    offset = 0.0
    for session in sessions_of(seen.rows):
        lanes = Lanes()
        for held, since, until in sorted(session.iter_held(), key=lambda held: held[1]):
            start = max(0.0, (since - session.began_at).total_seconds())
            end = max(start, (until - session.began_at).total_seconds())
            lane = lanes.take(start, end)
            state = states.get(held.number, "unfinished")
            found.append(
                Held(
                    lane=lane,
                    number=held.number,
                    attempt=held.attempt,
                    state=state,
                    since=offset + start,
                    until=offset + end,
                )
            )
        offset += max(0.0, (session.ended_at - session.began_at).total_seconds())
    return found


def _parts(held: Sequence[Held], end: float) -> list[tuple[float, float]]:
    """The mean number of held workers in each part of the time."""
    width = (end / PARTS) or 1.0
    totals = [0.0] * PARTS
    for bar in held:
        first, last = int(bar.since / width), min(PARTS - 1, int(bar.until / width))
        for part in range(min(first, PARTS - 1), last + 1):
            overlap = min(bar.until, (part + 1) * width) - max(bar.since, part * width)
            totals[part] += max(0.0, overlap)
    return [((part + 0.5) * width, total / width) for part, total in enumerate(totals)]


def _mark(bar: Held) -> dict[str, object]:
    took = bar.until - bar.since
    return {
        "lane": f"worker {bar.lane + 1}",
        "x": bar.since,
        "x2": bar.until,
        "state": bar.state,
        "tip": f"trial {bar.number}, attempt {bar.attempt}: {bar.state}, {duration_of(took)}",
    }


def _bars(held: Sequence[Held], lanes: int) -> Spec:
    found = list(dict.fromkeys(bar.state for bar in held))
    bar = {"type": "bar", "stroke": "#ffffff", "strokeWidth": 0.4}
    x, y = numbers("x", "seconds of sessions", zero=True), names("lane", None)
    y["scale"] = {"domain": [f"worker {lane + 1}" for lane in range(lanes)]}
    shades = colours("state", {state: STATE_COLOURS[state] for state in found}, "end of the trial")
    return layer(bar, x=x, x2={"field": "x2"}, y=y, color=shades, description=TIP)


def _area() -> Spec:
    x, y = numbers("x", "seconds of sessions", zero=True), numbers("n", "workers", zero=True)
    return layer({"type": "area", "color": BLUE, "opacity": 0.7}, x=x, y=y)
