"""The first objective against the others, or against MACs: the front, and the limit on each cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eml_models.wording import count_of
from tune_jobs.report.figures.colours import BLUE, GREY, RED
from tune_jobs.report.figures.figure import Figure, Spec, Undrawn
from tune_jobs.report.figures.marks import TIP, layer, numbers, prefixed, widened
from tune_jobs.report.figures.seen import Seen, words_of
from tune_jobs.report.figures.thinning import note_of, thinned
from tune_jobs.report.tables import Table
from tune_jobs.search.pareto import non_dominated
from tune_jobs.study.method import Limits
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import TrialRow

NAME, TITLE = "front", "The front: what no other trial beats"

MOST_PANELS = 3


def front(seen: Seen) -> Figure | Undrawn:
    """Completed trials by their objectives, with the members of the front."""
    objectives = _objectives(seen)
    points = _points(seen, objectives)
    if len(objectives) < 2:
        why = "it needs two objectives, or networks of different MACs"
        return Undrawn(name=NAME, title=TITLE, why=why)
    if not points:
        return Undrawn(name=NAME, title=TITLE, why="no completed trial has a value of every objective")
    numbers_of = list(points)
    directions = [objective.direction for objective in objectives]
    members = {numbers_of[i] for i in non_dominated(list(points.values()), directions)}
    others = [number for number in numbers_of if number not in members]
    kept = [*thinned(others, lambda n: (points[n][1], points[n][0])), *sorted(members)]
    limits = Limits.from_json(seen.definition["limits"]).bounds()
    first, pairs = objectives[0], list(enumerate(objectives))[1 : 1 + MOST_PANELS]
    best = sorted(members, key=lambda number: first.direction.sign * points[number][0])
    ends = widened(point[0] for point in points.values())
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "A dot is a completed trial. Blue dots are the front: a trial there is worse than another in one"
            " objective only if it is better in a second. A red line is the study's limit."
        ),
        alt=(
            f"On the front: {count_of(len(members), 'trial')} of {len(points):,}, from"
            f" {first.metric} {points[best[-1]][0]:.6g} to {points[best[0]][0]:.6g}."
        ),
        table=Table(
            title="The front",
            columns=("trial", *(objective.metric for objective in objectives), "params"),
            rows=tuple((n, *points[n], words_of(seen.params[n])) for n in best),
        ),
        panels=[_panel(first, other, index, _limit(limits, other.metric), ends) for index, other in pairs],
        values=[
            {
                "kind": "member" if number in members else "trial",
                **{f"v{index}": value for index, value in enumerate(points[number])},
                "tip": f"trial {number}: {words_of(seen.params[number])}",
            }
            for number in kept
        ],
        height=280,
        notes=note_of(len(kept), len(points), "completed trials"),
    )


def _objectives(seen: Seen) -> tuple[Objective, ...]:
    """The objectives; with one alone also the MACs, where trials differ in them."""
    if len(seen.objectives) > 1 or len({row.macs for row in seen.scored if row.macs}) < 2:
        return seen.objectives
    return (*seen.objectives, Objective("macs"))


def _points(seen: Seen, objectives: Sequence[Objective]) -> dict[int, tuple[float, ...]]:
    found = {}
    for row in seen.scored:
        point = _point(seen, row, objectives)
        if point is not None:
            found[row.number] = point
    return found


def _point(seen: Seen, row: TrialRow, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    values = seen.values(row)
    if len(objectives) > len(seen.objectives) and row.macs is not None:
        values["macs"] = float(row.macs)
    point = tuple(values[o.metric] for o in objectives if o.metric in values)
    return point if len(point) == len(objectives) else None


def _limit(limits: Mapping[str, Any], metric: str) -> float | None:
    """The limit on an objective, if the study has one."""
    found = limits.get(f"max_{metric}")
    return None if found is None else float(found)


def _panel(first: Objective, other: Objective, index: int, limit: float | None, ends: Spec) -> Spec:
    x, y = numbers(f"v{index}", other.metric), numbers("v0", first.metric, **ends)
    x["axis"] = prefixed(6) if other.is_cost else {}
    step = "step-after" if other.direction.sign > 0 else "step-before"
    dots = {"type": "circle", "size": 24, "color": GREY, "opacity": 0.6}
    line = {"type": "line", "interpolate": step, "color": BLUE, "strokeWidth": 1}
    marked = {"type": "circle", "size": 60, "color": BLUE, "opacity": 1}
    layers = [
        layer(dots, where="trial", x=x, y=y, description=TIP),
        layer(line, where="member", x=x, y=y),
        layer(marked, where="member", x=x, y=y, description=TIP),
    ]
    if limit is not None:
        rule = {"type": "rule", "color": RED, "strokeDash": [5, 4]}
        layers.append(layer(rule, values=[{f"v{index}": limit}], x=x))
    return {"layer": layers}
