"""Parallel coordinates: a line for each trial through its params, coloured by its value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.marks import distinct_texts, layer, names, short
from tune_jobs.report.figures.seen import Seen, shown
from tune_jobs.report.figures.slices import by_strength
from tune_jobs.report.figures.thinning import spread
from tune_jobs.report.tables import Table
from tune_jobs.study.rows import TrialRow

NAME, TITLE = "parallel", "Params of trials together"

MOST_LINES, BEST_LINES = 80, 20
MOST_AXES = 8


def parallel(seen: Seen) -> Figure | Undrawn:
    """A line for each completed trial through the places of its params."""
    parameters = by_strength(seen)[:MOST_AXES]
    if len(parameters) < 2:
        return Undrawn(name=NAME, title=TITLE, why="it needs two searched parameters")
    if not seen.scored:
        return Undrawn(name=NAME, title=TITLE, why="no trial has completed with a value")
    drawn = _drawn(seen)
    axes = list(distinct_texts([parameter["name"] for parameter in parameters]).values())
    ranks = {row.number: place for place, row in enumerate(seen.ranked)}
    values = [
        {"trial": row.number, "x": axis, "y": place, "rank": 1 - ranks[row.number] / max(1, len(ranks) - 1)}
        for row in reversed(drawn)
        for axis, parameter in zip(axes, parameters, strict=True)
        if (place := _place(parameter, seen.params[row.number].get(parameter["name"]))) is not None
    ]
    x = names("x", None, scale={"domain": axes, "padding": 0}, axis={"labelAngle": -30, "grid": True})
    y = {
        "field": "y",
        "type": "quantitative",
        "title": "place in the range",
        "scale": {"domain": [0, 1]},
        "axis": {"values": [0, 1], "labelExpr": "datum.value ? 'high' : 'low'", "grid": False},
    }
    shade = {
        "field": "rank",
        "type": "quantitative",
        "title": f"rank by {short(seen.metric)}",
        "scale": {"scheme": "viridis", "domain": [0, 1]},
        "legend": {"values": [0, 1], "labelExpr": "datum.value ? 'best' : 'worst'"},
    }
    line = {"type": "line", "strokeWidth": 1.3, "opacity": 0.7}
    left = len(seen.searched) - len(parameters)
    notes = []
    if len(drawn) < len(seen.scored):
        notes.append(
            f"{len(drawn)} of {len(seen.scored):,} completed trials are drawn: the best {BEST_LINES}, and"
            " others evenly over the ranks."
        )
    if left:
        notes.append(f"{left} more parameters are not drawn.")
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "A line is a completed trial, and each axis a parameter from its lowest to its highest value, in"
            " the scale of its search; levels of a choice are in the order of the space. Bright lines that"
            " run together show the params that good trials share."
        ),
        alt=f"{len(drawn)} completed trials over {', '.join(axes)}.",
        table=Table(
            title="The trials that are drawn",
            columns=("trial", seen.metric, *(str(p["name"]) for p in parameters)),
            rows=tuple(
                (r.number, r.objective, *(_cell(seen.params[r.number].get(p["name"])) for p in parameters))
                for r in drawn
            ),
        ),
        panels=[layer(line, x=x, y=y, color=shade, detail={"field": "trial"})],
        values=values,
        height=280,
        notes=tuple(notes),
    )


def _drawn(seen: Seen) -> list[TrialRow]:
    if len(seen.ranked) <= MOST_LINES:
        return list(seen.ranked)
    return [*seen.ranked[:BEST_LINES], *spread(seen.ranked[BEST_LINES:], MOST_LINES - BEST_LINES)]


def _place(parameter: Mapping[str, Any], value: Any) -> float | None:
    """The place of a value in its range, from 0 to 1; None if the parameter does not apply."""
    if value is None:
        return None
    if parameter["kind"] == "choice":
        values = list(parameter["values"])
        return values.index(value) / max(1, len(values) - 1) if value in values else None
    low, high, at = float(parameter["low"]), float(parameter["high"]), float(value)
    if high <= low:
        return 0.5
    if parameter.get("log") and low > 0 and at > 0:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return min(1.0, max(0.0, (at - low) / (high - low)))


def _cell(value: object) -> object:
    return None if value is None else shown(value)
