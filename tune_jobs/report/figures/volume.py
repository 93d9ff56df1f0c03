"""The hypervolume of the front against the epochs spent: whether a search for a front still gains."""

from __future__ import annotations

from tune_jobs.report.figures.colours import BLUE
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.history import steps_of
from tune_jobs.report.figures.marks import layer, numbers
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.figures.thinning import spread
from tune_jobs.report.front import box
from tune_jobs.report.tables import Table
from tune_jobs.search.pareto import hypervolume

NAME, TITLE = "hypervolume", "The front's hypervolume"

MOST_STEPS = 50


def volume(seen: Seen) -> Figure | Undrawn:
    """The share of the box of objectives that the front dominates, by epochs."""
    if len(seen.objectives) < 2:
        return Undrawn(name=NAME, title=TITLE, why="the study has one objective")
    points = {
        row.number: tuple(values[o.metric] for o in seen.objectives)
        for row in seen.ends
        if len(values := seen.values(row)) == len(seen.objectives)
    }
    steps = [step for step in steps_of(seen) if step.number in points]
    if not steps:
        return Undrawn(name=NAME, title=TITLE, why="no completed trial has a value of every objective")
    ideal, reference = box(list(points.values()), seen.objectives, seen.definition["limits"])
    directions = [objective.direction for objective in seen.objectives]
    reached = [points[step.number] for step in steps]
    found = []
    for at in spread(range(len(steps)), MOST_STEPS):
        share = hypervolume(reached[: at + 1], directions, ideal=ideal, reference=reference)
        found.append((steps[at].epochs, at + 1, share))
    line = {"type": "line", "interpolate": "step-after", "color": BLUE, "strokeWidth": 2}
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "The line is the share of the box between the ideal and the reference that the front dominates."
            " A line that is flat at its end says that more trials gain little."
        ),
        alt=f"The hypervolume is {found[-1][2]:.4f} after {found[-1][0]:,} epochs.",
        table=Table(
            title="Hypervolume by epochs",
            columns=("epochs", "completed trials", "hypervolume"),
            rows=tuple(found),
        ),
        panels=[layer(line, x=numbers("x", "epochs trained", zero=True), y=numbers("y", "hypervolume"))],
        values=[{"x": epochs, "y": share} for epochs, _, share in found],
        height=220,
    )
