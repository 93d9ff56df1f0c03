"""What the rungs did: how many trials each stopped, and whether ranks at a rung foretell later ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from eml_models.wording import count_of
from tune_jobs.report.figures.colours import BLUE, ORANGE
from tune_jobs.report.figures.figure import Figure, Spec, Undrawn
from tune_jobs.report.figures.marks import TIP, colours, layer, names, numbers
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.tables import Table
from tune_jobs.search.history import rung_between
from tune_jobs.study.rows import Decision

NAME, TITLE = "rungs", "Survival at the rungs, and ranks between them"

LEAST_PAIRS = 5
"""Fewer trials at two rungs give no rank correlation that means anything."""

AT = {"continued": BLUE, "stopped": ORANGE}


def rungs(seen: Seen) -> Figure | Undrawn:
    """The decisions of each rung, and Spearman's correlation of values between following rungs."""
    counts = _decisions(seen)
    if not counts:
        why = "no rung has decided yet" if seen.definition["rungs"] else "the study stops no trial early"
        return Undrawn(name=NAME, title=TITLE, why=why)
    epochs = sorted({rung for rung, _ in counts})
    links = _links(seen, epochs)
    survival = [
        {
            "kind": "survival",
            "rung": str(rung),
            "what": what,
            "n": counts[rung, what],
            "tip": f"epoch {rung}: {counts[rung, what]:,} {what}",
        }
        for rung in epochs
        for what in AT
    ]
    ranks = [
        {"kind": "rank", "link": f"{a} and {b}", "r": r, "tip": f"{r:.2f}, n {n}"} for a, b, r, n in links
    ]
    named = ", ".join(f"{counts[rung, 'stopped']:,} at epoch {rung}" for rung in epochs)
    return Figure(
        name=NAME,
        title=TITLE,
        how=(
            "The bars are the trials that continued and those that were stopped. A rank correlation"
            " (Spearman) near 1 says that the order at a rung is the order later, so that it stops the right"
            " trials. It is over trials that reached both rungs, which were alike already,"
            " so it is lower than over all trials."
        ),
        alt=f"Trials stopped: {named}.",
        table=Table(
            title="Rungs",
            columns=("epoch", "trials", "stopped", "rank correlation with the next", "n"),
            rows=tuple(
                (
                    rung,
                    counts[rung, "continued"] + counts[rung, "stopped"],
                    counts[rung, "stopped"],
                    *next(((r, n) for a, _, r, n in links if a == rung), (None, None)),
                )
                for rung in epochs
            ),
        ),
        panels=[_survival(epochs), *([_ranks()] if links else [])],
        values=[*survival, *ranks],
        height=230,
        notes=()
        if links
        else (f"No two rungs were reached by {count_of(LEAST_PAIRS, 'trial')}, so no ranks are compared.",),
    )


def _decisions(seen: Seen) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    decided: set[tuple[int, int]] = set()
    for report in seen.reports:
        if report.decision is None:
            continue
        rung = rung_between(seen.definition["rungs"], 0, report.epoch) or report.epoch
        if (report.number, rung) not in decided:
            decided.add((report.number, rung))
            found[rung, "stopped" if report.decision is Decision.STOP else "continued"] += 1
    return found


def _links(seen: Seen, epochs: Sequence[int]) -> list[tuple[int, int, float, int]]:
    """The rank correlation of values at each two following rungs and at the last epoch."""
    last = max((row.epochs for row in seen.scored), default=0)
    stations = [*epochs, *([last] if last > epochs[-1] else [])]
    found = []
    for a, b in pairwise(stations):
        pairs = [
            (before, after)
            for reports in seen.curves.values()
            if a in reports and b in reports
            if (before := reports[a].value(seen.metric)) is not None
            if (after := reports[b].value(seen.metric)) is not None
        ]
        frame = pd.DataFrame(pairs, columns=["before", "after"])
        if len(frame) >= LEAST_PAIRS and frame["before"].nunique() > 1 and frame["after"].nunique() > 1:
            r = float(frame["before"].rank().corr(frame["after"].rank()))
            found.append((a, b, r, len(frame)))
    return found


def _survival(epochs: Sequence[int]) -> Spec:
    x = names("rung", "rung (epoch)", scale={"domain": [str(e) for e in epochs]}, axis={"labelAngle": 0})
    shades = colours("what", AT)
    bar = {"type": "bar"}
    return layer(bar, where="survival", x=x, y=numbers("n", "trials"), color=shades, description=TIP)


def _ranks() -> Spec:
    x = names("link", "between epochs", axis={"labelAngle": 0})
    bar = {"type": "bar", "color": BLUE}
    y = numbers("r", "rank correlation", domain=[-0.2, 1])
    return layer(bar, where="rank", x=x, y=y, description=TIP)
