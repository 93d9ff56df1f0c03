"""Two parameters against each other, such as optimizer and rate: the mean of each cell, n, interval."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from eml_models.wording import count_of
from tune_jobs.analysis.factors import design_of
from tune_jobs.analysis.intervals import Estimate, estimate
from tune_jobs.report.figures.colours import ON_DARK, ON_LIGHT
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.marks import TIP, distinct_texts, layer, levels_axis, names, short, widened
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.tables import Table
from tune_jobs.study.parameters import Params

NAME, TITLE = "heat_map", "Two parameters against each other"

PREFERRED = ("optimizer", "learning_rate", "lr", "schedule", "model", "weight_decay")
"""Parameters that are compared first, where a study has them."""

BINS = 6
"""The number of parts of a range, equal in the scale in which it is searched."""

LEAST_DIGITS, MOST_DIGITS = 2, 15

MOST_LEVELS = 16

TEXT_WIDTH = 32
"""Pixels of a cell that its text needs; narrower cells have their colour alone."""

LIGHT = 0.5
"""The part of viridis from which dark text is easier to read than white: #21918c lies there."""

Level = Callable[[Params], str | None]
"""The name of the level of a parameter in a trial; None if it does not apply there."""


def heat_map(seen: Seen) -> Figure | Undrawn:
    """The mean of the first objective in each cell of two parameters."""
    pair = _pair(seen)
    if pair is None:
        return Undrawn(name=NAME, title=TITLE, why="it needs two searched parameters")
    across, down = pair
    cells = _cells(seen, across, down)
    if not cells:
        return Undrawn(name=NAME, title=TITLE, why="no completed trial has values of two parameters")
    design = design_of(seen.definition)
    means = {cell: estimate(values).within(design.span) for cell, values in cells.items()}
    ordered = sorted(found.mean for found in means.values())
    low, high = ordered[0], ordered[-1]
    worth = {cell: design.sign * found.mean for cell, found in means.items()}
    columns, rows = _levels(across, worth, 0), _levels(down, worth, 1)
    rising, digits = design.sign > 0, _digits(ordered)
    title = f"{across['name']} and {down['name']}"
    best = max(worth, key=lambda cell: worth[cell])
    x = names("x", str(across["name"]), scale={"domain": columns}, axis=levels_axis(len(columns)))
    y = names("y", str(down["name"]), scale={"domain": rows}, axis={"labelOverlap": False})
    shade = {
        "field": "mean",
        "type": "quantitative",
        "title": f"mean {short(seen.metric)}",
        "scale": {"scheme": "viridis", "reverse": not rising, **widened(ordered)},
    }
    room = f"width / {len(columns)} < {TEXT_WIDTH} ? 0 : 1"
    text = {"type": "text", "lineBreak": "\n", "dy": -6, "fontSize": 10, "opacity": {"expr": room}}
    return Figure(
        name=NAME,
        title=f"{TITLE}: {title}",
        how=(
            f"A cell is the mean {seen.metric} of its completed trials, with their number n; {seen.better},"
            " and better cells are brighter. The table has the 95 % intervals (Student's t)."
            + (
                ""
                if design.is_grid
                else " The search chose where to look: cells with few trials say little; nothing is tested."
            )
        ),
        alt=(
            f"{count_of(len(cells), 'cell')} of {title}. The best mean is {means[best].mean:.6g}"
            f" at {best[0]} and {best[1]}, n {means[best].n}."
        ),
        table=Table(
            title=f"Cells of {title}",
            columns=(str(across["name"]), str(down["name"]), "n", f"mean {seen.metric}", "low", "high"),
            rows=tuple((*cell, *_row(means[cell])) for cell in sorted(means)),
        ),
        panels=[
            {
                "layer": [
                    layer({"type": "rect"}, x=x, y=y, color=shade, description=TIP),
                    *(
                        layer({**text, "color": ink}, where=ink, x=x, y=y, text={"field": "text"})
                        for ink in (ON_LIGHT, ON_DARK)
                    ),
                ]
            }
        ],
        values=[
            {
                "x": cell[0],
                "y": cell[1],
                "mean": found.mean,
                "text": f"{found.mean:{digits}}\nn {found.n}",
                "tip": f"{cell[0]}, {cell[1]}: {_told(found)}",
                "kind": ON_LIGHT if _brightness(found.mean, low, high, rising=rising) > LIGHT else ON_DARK,
            }
            for cell, found in means.items()
            if cell[0] in columns and cell[1] in rows
        ],
        height=max(120, 44 * len(rows)),
        notes=(
            *_note(across, len(columns), len({x for x, _ in cells})),
            *_note(down, len(rows), len({y for _, y in cells})),
        ),
    )


def _pair(seen: Seen) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The parameters across and down: down a choice, where there is one."""
    order = {name: place for place, name in enumerate(PREFERRED)}
    ranked = sorted(seen.searched, key=lambda p: order.get(str(p["name"]), len(order)))
    if len(ranked) < 2:
        return None
    first, second = ranked[:2]
    return (first, second) if second["kind"] == "choice" and first["kind"] != "choice" else (second, first)


def _cells(
    seen: Seen, across: Mapping[str, Any], down: Mapping[str, Any]
) -> dict[tuple[str, str], list[float]]:
    level_across, level_down = _level_of(across), _level_of(down)
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in seen.scored:
        x, y = level_across(seen.params[row.number]), level_down(seen.params[row.number])
        if x is not None and y is not None and row.objective is not None:
            found[x, y].append(row.objective)
    return found


def _level_of(parameter: Mapping[str, Any]) -> Level:
    name = str(parameter["name"])
    if parameter["kind"] == "choice":
        levels = distinct_texts(parameter["values"])
        return lambda params: levels.get(params[name]) if name in params else None
    edges = _edges(parameter)
    texts = _bins(edges)

    def level(params: Params) -> str | None:
        value = params.get(name)
        if not isinstance(value, int | float):
            return None
        return texts[min(sum(value >= edge for edge in edges[1:-1]), len(texts) - 1)]

    return level


def _levels(parameter: Mapping[str, Any], worth: Mapping[tuple[str, str], float], axis: int) -> list[str]:
    """The names of the levels that have trials, in their order; of too many those with the best cells."""
    if parameter["kind"] == "choice":
        order = list(distinct_texts(parameter["values"]).values())
    else:
        order = _bins(_edges(parameter))
    best_first = dict.fromkeys(cell[axis] for cell in sorted(worth, key=lambda cell: -worth[cell]))
    kept = set(list(best_first)[:MOST_LEVELS])
    return [name for name in dict.fromkeys(order) if name in kept]


def _note(parameter: Mapping[str, Any], kept: int, total: int) -> tuple[str, ...]:
    if kept == total:
        return ()
    return (f"{kept} of {total:,} levels of {parameter['name']} are drawn, those with the best cells.",)


def _edges(parameter: Mapping[str, Any]) -> list[float]:
    low, high = float(parameter["low"]), float(parameter["high"])
    if parameter.get("log") and low > 0:
        ratio = math.log(high / low)
        return [low * math.exp(ratio * part / BINS) for part in range(BINS + 1)]
    return [low + (high - low) * part / BINS for part in range(BINS + 1)]


def _bins(edges: list[float]) -> list[str]:
    """The names of the parts between edges, with the digits that distinguish the edges."""
    texts: list[str] = []
    for digits in range(LEAST_DIGITS, MOST_DIGITS + 1):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(edges):
            break
    return [f"{low} to {high}" for low, high in pairwise(texts)]


def _digits(values: Sequence[float]) -> str:
    """The format of numbers with equal decimals, of which the largest has three digits."""
    largest = max(abs(value) for value in values)
    if not 1e-3 <= largest < 1e5:
        return ".3g"
    return f".{max(0, 2 - math.floor(math.log10(largest)))}f"


def _row(found: Estimate) -> tuple[object, ...]:
    return found.n, found.mean, found.low, found.high


def _told(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{found.mean:.6g}, n {found.n}"
    return f"{found.mean:.6g} [{found.low:.6g}, {found.high:.6g}], n {found.n}"


def _brightness(value: float, low: float, high: float, *, rising: bool) -> float:
    place = 0.5 if high == low else (value / 2 - low / 2) / (high / 2 - low / 2)
    return place if rising else 1 - place
