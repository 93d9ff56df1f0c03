"""Learning curves, with the rungs that cut them: what was stopped, and whether the best ones were late."""

from __future__ import annotations

from collections.abc import Sequence

from eml_models.wording import count_of
from tune_jobs.report.figures.colours import GREY, STATE_COLOURS
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.marks import TIP, colours, layer, numbers
from tune_jobs.report.figures.ranges import Range, note_of_beyond, range_of, triangles
from tune_jobs.report.figures.seen import Seen, words_of
from tune_jobs.report.figures.thinning import spread
from tune_jobs.report.tables import Table
from tune_jobs.study.rows import State

NAME, TITLE, WHOLE = "curves", "Learning curves, and the rungs that cut them", "Learning curves"

MOST_CURVES = 40
"""Most curves that are drawn; more of them hide one another."""

BEST_CURVES = 10
"""The number of best trials that are always among them."""

MOST_TICKS = 10

MOST_POINTS = 60
"""Most points of a curve."""


def curves(seen: Seen) -> Figure | Undrawn:
    """The first objective of each epoch, by trial."""
    lines = _lines(seen)
    if not lines:
        return Undrawn(name=NAME, title=TITLE, why=f"no trial has reported {seen.metric} after an epoch")
    states = {row.number: str(row.state) for row in seen.ends}
    kept = _kept(seen, list(lines))
    points = [
        (number, states.get(number, "unfinished"), epoch, value)
        for number in kept
        for epoch, value in spread(lines[number], MOST_POINTS)
    ]
    axis = range_of([value for *_, value in points], seen.objective.direction.sign)
    last = max(epoch for _, _, epoch, _ in points)
    rungs = [rung for rung in seen.definition["rungs"] if rung <= last]
    found = list(dict.fromkeys(state for _, state, _, _ in points))
    x, y, edge = (
        numbers("x", "epoch", nice=False, padding=6),
        *(numbers(field, seen.metric, domain=axis.ends, nice=False) for field in ("y", "edge")),
    )
    x["axis"] = {"values": spread(range(1, last + 1), MOST_TICKS), "format": "d"}
    rule = {"type": "rule", "strokeDash": [4, 4], "color": GREY}
    line = {"type": "line", "clip": True, "strokeWidth": 1.4, "opacity": 0.8}
    end = {"type": "circle", "clip": True, "size": 26}
    shades = colours("state", {state: STATE_COLOURS[state] for state in found}, "end of the trial")
    stopped = sum(row.state is State.STOPPED for row in seen.ends)
    cut = f"; {stopped:,} were stopped at rungs (epochs {', '.join(map(str, rungs))})" if rungs else ""
    return Figure(
        name=NAME,
        title=TITLE if rungs else WHOLE,
        how=(
            f"A line is a trial, and the dot its last report; {seen.better}."
            + (
                " Dashed lines are the rungs, where the worse trials are stopped. Lines that cross behind a"
                " rung say that it may stop good trials too."
                if rungs
                else ""
            )
        ),
        alt=f"{count_of(len(lines), 'trial')} reported {seen.metric}{cut}.",
        table=Table(
            title="The curves that are drawn",
            columns=("trial", "state", "epoch", seen.metric),
            rows=tuple(points),
        ),
        panels=[
            {
                "layer": [
                    layer(rule, values=[{"x": rung} for rung in rungs], x=x),
                    layer(line, x=x, y=y, color=shades, detail={"field": "trial"}),
                    layer(end, where="end", x=x, y=y, color=shades, description=TIP),
                    triangles(axis, "beyond", mark={}, x=x, y=edge, color=shades),
                ]
            }
        ],
        values=[
            {
                "trial": number,
                "state": state,
                "x": epoch,
                "y": value,
                **(_end(seen, number, value, axis) if epoch == lines[number][-1][0] else {}),
            }
            for number, state, epoch, value in points
        ],
        height=320,
        notes=(
            *_notes(len(kept), len(lines)),
            *note_of_beyond(axis, (lines[number][-1][1] for number in kept), what="last report"),
        ),
    )


def _lines(seen: Seen) -> dict[int, list[tuple[int, float]]]:
    """The values of each trial by epoch."""
    found = {}
    for number, reports in seen.curves.items():
        values = [(epoch, reports[epoch].value(seen.metric)) for epoch in sorted(reports)]
        line = [(epoch, value) for epoch, value in values if value is not None]
        if line:
            found[number] = line
    return found


def _end(seen: Seen, number: int, value: float, axis: Range) -> dict[str, object]:
    """What the last report of a trial is drawn as: a dot, or a triangle at the edge of the axis."""
    tip = f"trial {number}: {value:.6g}, {words_of(seen.params.get(number, {}))}"
    if axis.is_beyond(value):
        return {"kind": "beyond", "edge": axis.edge, "tip": tip}
    return {"kind": "end", "tip": tip}


def _kept(seen: Seen, numbers_of_trials: Sequence[int]) -> list[int]:
    """The best trials, and others from the first to the last."""
    if len(numbers_of_trials) <= MOST_CURVES:
        return list(numbers_of_trials)
    best = [row.number for row in seen.ranked[:BEST_CURVES]]
    others = [number for number in numbers_of_trials if number not in set(best)]
    return [*spread(others, MOST_CURVES - len(best)), *reversed(best)]


def _notes(kept: int, total: int) -> tuple[str, ...]:
    if kept == total:
        return ()
    return (
        f"{kept} of {total:,} trials are drawn: the best {BEST_CURVES}, and others evenly over the search.",
    )
