"""The best value against trials, epochs and seconds: how fast a search finds, and whether it still gains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eml_models.wording import count_of
from tune_jobs.report.figures.colours import BLUE, GREY
from tune_jobs.report.figures.figure import Figure, Spec, Undrawn
from tune_jobs.report.figures.marks import TIP, layer, numbers
from tune_jobs.report.figures.ranges import Range, note_of_beyond, range_of, triangles
from tune_jobs.report.figures.seen import Seen, value_of, words_of
from tune_jobs.report.figures.thinning import note_of, thinned
from tune_jobs.report.tables import Table
from tune_jobs.study.rows import ReportRow, State, TrialRow

NAME, TITLE = "history", "The best so far"
AXES = {"trials": "trials trained", "epochs": "epochs trained", "seconds": "seconds of training, all workers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The end of a completed trial, and what had been spent by then."""

    number: int
    value: float
    best: float
    trials: int
    epochs: int
    seconds: float


def history(seen: Seen) -> Figure | Undrawn:
    """The value of each completed trial, and the best so far, against what was spent."""
    steps = steps_of(seen)
    if not steps:
        return Undrawn(name=NAME, title=TITLE, why="no trial has completed with a value")
    kept = thinned(steps, lambda step: (float(step.trials), step.value))
    records = [step for before, step in zip([None, *steps], steps, strict=False) if _gained(before, step)]
    last = steps[-1]
    axis = range_of([step.value for step in steps], seen.objective.direction.sign)
    values = [
        *({**_point(step), **_place(step, axis), "tip": _tip(seen, step)} for step in kept),
        *({"kind": "best", **_point(step), "y": step.best} for step in [*records, last]),
    ]
    best = records[-1]
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "A dot is a completed trial, and the line is the best value until then. A line that is still"
            f" changing at its end says that more trials may help; {seen.better}."
        ),
        alt=(
            f"The best {seen.metric} is {best.best:.6g}, of trial {best.number}, found after"
            f" {count_of(best.trials, 'trial')} of {last.trials:,} and {count_of(best.epochs, 'epoch')} of"
            f" {last.epochs:,}."
        ),
        table=Table(
            title="The trials that were the best so far",
            columns=("trial", seen.metric, "trials", "epochs", "seconds"),
            rows=tuple((s.number, s.best, s.trials, s.epochs, s.seconds) for s in records),
        ),
        panels=[_panel(seen, spent, axis) for spent in AXES],
        values=values,
        height=240,
        least=240,
        notes=(
            *note_of(len(kept), len(steps), "completed trials"),
            *note_of_beyond(axis, (step.value for step in kept)),
        ),
    )


def steps_of(seen: Seen) -> list[Step]:
    """The completed trials in the order of their ends, with what was spent by then."""
    return list(_iter_steps(seen))


def _iter_steps(seen: Seen) -> Iterator[Step]:
    trials = epochs = 0
    seconds, best = 0.0, None
    ended: set[int] = set()
    for row in seen.rows:
        if isinstance(row, ReportRow):
            epochs += 1
            seconds += row.epoch_s or 0.0
        if not isinstance(row, TrialRow) or row.number in ended or row.state is State.INFEASIBLE:
            continue
        ended.add(row.number)
        trials += 1
        value = value_of(row)
        if row.state is not State.COMPLETED or value is None:
            continue
        best = value if best is None or seen.objective.is_better(value, best) else best
        yield Step(number=row.number, value=value, best=best, trials=trials, epochs=epochs, seconds=seconds)


def _gained(before: Step | None, step: Step) -> bool:
    return before is None or before.best != step.best


def _point(step: Step) -> dict[str, float]:
    return {"trials": step.trials, "epochs": step.epochs, "seconds": step.seconds}


def _place(step: Step, axis: Range) -> dict[str, object]:
    """A dot, or a triangle at the edge of the axis."""
    if axis.is_beyond(step.value):
        return {"kind": "beyond", "y": axis.edge}
    return {"kind": "trial", "y": step.value}


def _tip(seen: Seen, step: Step) -> str:
    return f"trial {step.number}: {step.value:.6g}, {words_of(seen.params.get(step.number, {}))}"


def _panel(seen: Seen, spent: str, axis: Range) -> Spec:
    x = numbers(spent, AXES[spent], zero=True, padding=4)
    x["axis"] = {"tickCount": 4}
    y = numbers("y", f"{seen.metric} ({seen.better})", domain=axis.ends, nice=False)
    dots = {"type": "circle", "color": GREY, "size": 22, "opacity": 0.6, "clip": True}
    line = {"type": "line", "interpolate": "step-after", "color": BLUE, "strokeWidth": 2, "clip": True}
    return {
        "layer": [
            layer(dots, where="trial", x=x, y=y, description=TIP),
            triangles(axis, "beyond", mark={"color": GREY}, x=x, y=y),
            layer(line, where="best", x=x, y=y),
        ]
    }
