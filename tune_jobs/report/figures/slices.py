"""The first objective against each parameter alone: where good values lie, and what has no effect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tune_jobs.analysis.factors import design_of
from tune_jobs.report.figures.colours import BLUE
from tune_jobs.report.figures.figure import Figure, Spec, Undrawn
from tune_jobs.report.figures.marks import TIP, distinct_texts, layer, levels_axis, names, numbers
from tune_jobs.report.figures.ranges import Range, note_of_beyond, range_of, triangles
from tune_jobs.report.figures.seen import Seen, shown, words_of
from tune_jobs.report.figures.thinning import note_of, thinned
from tune_jobs.report.tables import Table
from tune_jobs.study.rows import TrialRow

NAME, TITLE = "slices", "Each parameter alone"

BIASED = (
    " The search has most dots where results were good, and trials that were stopped are not shown, so poor"
    " values look better than they are."
)
"""The note of a search in which earlier results chose the trials."""

MOST_PANELS = 9
MOST_DOTS = 150
"""Most dots of a panel; a page has many panels."""


def slices(seen: Seen) -> Figure | Undrawn:
    """A panel for each parameter, with the completed trials as dots."""
    parameters = by_strength(seen)[:MOST_PANELS]
    if not parameters:
        return Undrawn(name=NAME, title=TITLE, why="no parameter is searched")
    if not seen.scored:
        return Undrawn(name=NAME, title=TITLE, why="no trial has completed with a value")
    axis = range_of([row.objective or 0.0 for row in seen.scored], seen.objective.direction.sign)
    panels, values, rows = [], [], []
    kept: dict[int, float] = {}
    for index, parameter in enumerate(parameters):
        drawn = _drawn(seen, parameter)
        levels = distinct_texts(parameter["values"]) if parameter["kind"] == "choice" else {}
        kept |= {row.number: row.objective or 0.0 for row in drawn}
        held = {row.number: seen.params[row.number][parameter["name"]] for row in drawn}
        there = [text for level, text in levels.items() if level in held.values()]
        panels.append(_panel(seen, parameter, index, levels=there, axis=axis))
        for row in drawn:
            value = held[row.number]
            x = levels.get(value, shown(value)) if levels else value
            tip = f"trial {row.number}: {row.objective:.6g}, {words_of(seen.params[row.number])}"
            values.append({**_place(row.objective or 0.0, index, axis), "x": x, "tip": tip})
            rows.append((parameter["name"], shown(value), row.number, row.objective))
    left = len(seen.searched) - len(parameters)
    more = (
        (f"{left} more parameters, whose values go less with {seen.metric}, are not drawn.",) if left else ()
    )
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            f"A dot is a completed trial; {seen.better}. A panel without any shape is a parameter without a"
            f" visible effect.{BIASED if design_of(seen.definition).is_adaptive else ''}"
        ),
        alt=f"{seen.metric} against {', '.join(str(p['name']) for p in parameters)}.",
        table=Table(
            title="The trials that are drawn",
            columns=("parameter", "value", "trial", seen.metric),
            rows=tuple(rows),
        ),
        panels=panels,
        values=values,
        height=150,
        least=240,
        notes=(
            *note_of(len(kept), len(seen.scored), "completed trials"),
            *note_of_beyond(axis, kept.values()),
            *more,
        ),
    )


def by_strength(seen: Seen) -> list[Mapping[str, Any]]:
    """The searched parameters, those first whose values go most with the first objective.

    The strength is the share of the variance of ranks that the means of up to eight groups explain.
    """
    if len(seen.scored) < 2:
        return list(seen.searched)
    places = {row.number: place for place, row in enumerate(seen.ranked)}
    return sorted(seen.searched, key=lambda p: -_strength(seen, p, places))


def _strength(seen: Seen, parameter: Mapping[str, Any], places: Mapping[int, int]) -> float:
    name = parameter["name"]
    held = [
        (seen.params[number][name], place) for number, place in places.items() if name in seen.params[number]
    ]
    if len(held) < 2:
        return 0.0
    if parameter["kind"] == "choice":
        texts = [str(value) for value, _ in held]
    else:
        order = sorted(range(len(held)), key=lambda index: float(held[index][0]))  # type: ignore[arg-type]  # numbers
        groups = min(8, max(2, len(held) // 4))
        texts, first = [""] * len(held), 0
        for place, index in enumerate(order):
            if held[index][0] != held[order[first]][0]:  # equal values are of one group
                first = place
            texts[index] = str(first * groups // len(held))
    mean = sum(place for _, place in held) / len(held)
    whole = sum((place - mean) ** 2 for _, place in held) or 1.0
    sums: dict[str, list[int]] = {}
    for text, (_, place) in zip(texts, held, strict=True):
        sums.setdefault(text, []).append(place)
    return sum(len(group) * (sum(group) / len(group) - mean) ** 2 for group in sums.values()) / whole


def _drawn(seen: Seen, parameter: Mapping[str, Any]) -> list[TrialRow]:
    name = parameter["name"]
    held = [row for row in seen.scored if name in seen.params[row.number]]
    order = (
        {level: at for at, level in enumerate(parameter["values"])} if parameter["kind"] == "choice" else {}
    )

    def place(row: TrialRow) -> tuple[float, float]:
        value: Any = seen.params[row.number][name]
        if order:
            return float(order.get(value, len(order))), row.objective or 0.0
        at = math.log(value) if parameter.get("log") and value > 0 else float(value)
        return at, row.objective or 0.0

    return thinned(held, place, most=MOST_DOTS)


def _place(value: float, index: int, axis: Range) -> dict[str, object]:
    """A dot of a panel, or a triangle at the edge of its axis."""
    if axis.is_beyond(value):
        return {"kind": f"beyond{index}", "y": axis.edge}
    return {"kind": f"p{index}", "y": value}


def _panel(
    seen: Seen, parameter: Mapping[str, Any], index: int, *, levels: Sequence[str], axis: Range
) -> Spec:
    title = str(parameter["name"])
    if parameter["kind"] == "choice":
        x = names("x", title, scale={"domain": list(levels)}, axis=levels_axis(len(levels)))
    else:
        x = numbers("x", title)
    if parameter.get("log"):
        x["scale"] = {"type": "log", "nice": False, "padding": 8}
        x["axis"] = {"tickCount": 4, "format": "~g"}
    y = numbers("y", seen.metric, domain=axis.ends, nice=False)
    dots = {"type": "circle", "size": 26, "opacity": 0.6, "color": BLUE, "clip": True}
    return {
        "layer": [
            layer(dots, where=f"p{index}", x=x, y=y, description=TIP),
            triangles(axis, f"beyond{index}", mark={"color": BLUE}, x=x, y=y),
        ]
    }
