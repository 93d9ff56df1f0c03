"""Which parameters matter, by PED-ANOVA over the completed trials."""

from __future__ import annotations

import math
from collections.abc import Sequence

from eml_models.errors import InvalidValueError
from eml_models.wording import count_of, first_line
from tune_jobs.analysis.factors import repeat_of
from tune_jobs.report.figures.colours import BLUE
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.marks import TIP, distinct_texts, layer, names, numbers
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.figures.thinning import sampled
from tune_jobs.report.tables import Table
from tune_jobs.search.importance import LEAST_TRIALS, STABLE, count_best, importances
from tune_jobs.study.rows import EventRow, Row, State, TrialRow

NAME, TITLE = "importance", "Which parameters matter"

MOST_BARS = 15
MOST_TRIALS = 1000


def importance(seen: Seen) -> Figure | Undrawn:
    """The share of each parameter in the effects on the first objective."""
    if len(seen.scored) < LEAST_TRIALS:
        why = f"it needs {LEAST_TRIALS} completed trials, got {len(seen.scored)}"
        return Undrawn(name=NAME, title=TITLE, why=why)
    compared = sampled(seen.scored, MOST_TRIALS)
    best = count_best([row.objective or 0.0 for row in compared], seen.objective.direction.sign)
    try:
        found = importances(seen.name, seen.definition, _rows(seen, compared))
    except (InvalidValueError, ValueError) as error:
        return Undrawn(name=NAME, title=TITLE, why=first_line(error).rstrip("."))
    repeat = repeat_of(seen.definition)
    found = {name: share for name, share in found.items() if math.isfinite(share) and name != repeat}
    whole = sum(found.values())
    if not whole:
        return Undrawn(
            name=NAME, title=TITLE, why="all completed trials share the params that can be compared"
        )
    found = {name: share / whole for name, share in found.items()}
    shown = dict(sorted(found.items(), key=lambda item: -item[1])[:MOST_BARS])
    first, texts = next(iter(shown)), distinct_texts(list(shown))
    x = numbers("share", "share of the effects", zero=True)
    x["axis"] = {"format": ".0%"}
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            f"A bar is the part of a parameter in telling the best tenth of completed trials by {seen.metric}"
            f" ({best:,} of {len(compared):,}) from the others (PED-ANOVA). It says where good trials lie,"
            " not how much a change gains."
        ),
        alt=f"The most important parameter is {first} with {shown[first]:.0%}, of {len(found)}.",
        table=Table(title="Importances", columns=("parameter", "share"), rows=tuple(found.items())),
        panels=[layer({"type": "bar", "color": BLUE}, x=x, y=names("parameter"), description=TIP)],
        values=[
            {"parameter": texts[name], "share": share, "tip": f"{name}: {share:.1%}"}
            for name, share in shown.items()
        ],
        height=max(60, 24 * len(shown)),
        notes=(*_notes(seen), *_few(best)),
    )


def _rows(seen: Seen, compared: Sequence[TrialRow]) -> list[Row]:
    """The rows of the completed trials that are compared; Optuna takes a millisecond for each."""
    kept = {row.number for row in compared}
    return [row for row in seen.rows if not isinstance(row, EventRow) and row.number in kept]


def _few(best: int) -> tuple[str, ...]:
    if best >= STABLE:
        return ()
    return (
        f"The best tenth is {count_of(best, 'trial')}, fewer than {STABLE}, so chance decides much of the"
        " bars. More trials may change their order.",
    )


def _notes(seen: Seen) -> tuple[str, ...]:
    stopped = sum(row.state is State.STOPPED for row in seen.ends)
    part: tuple[str, ...] = ()
    if len(seen.scored) > MOST_TRIALS:
        part = (f"{MOST_TRIALS:,} of {len(seen.scored):,} completed trials are compared, drawn by lot.",)
    if not stopped:
        return part
    return (
        *part,
        f"Early stopping biases this: {stopped:,} stopped trials are left out, which were mostly poor, so a"
        " parameter that decided who was stopped looks less important than it is.",
    )
