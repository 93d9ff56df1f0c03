"""What the rungs did: how many trials each stopped, and whether ranks at a rung foretell later ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd

from eml_models.wording import count_of
from tune_jobs.analysis.false_stops import FalseStops
from tune_jobs.report.figures.colours import BLUE, ORANGE
from tune_jobs.report.figures.complete_curves import false_stops_in_words, false_stops_of
from tune_jobs.report.figures.figure import Figure, Spec, Undrawn
from tune_jobs.report.figures.marks import TIP, colours, layer, names, numbers
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.tables import Table
from tune_jobs.search.history import rung_between
from tune_jobs.study.rows import Decision

NAME, TITLE = "rungs", "Survival at the rungs, and ranks between them"
WOULD_TITLE = "What rungs would have stopped, and ranks between them"

LEAST_PAIRS = 5
"""Fewer trials at two rungs give no rank correlation that means anything."""

UNCOMPARED = f"No two rungs were reached by {count_of(LEAST_PAIRS, 'trial')}, so no ranks are compared."

CONTINUED, STOPPED = "continued", "stopped"
WOULD = {CONTINUED: "would have continued", STOPPED: "would have been stopped"}
"""The words for a study that stops no trial: what its rungs would have done."""

SHADES = {CONTINUED: BLUE, STOPPED: ORANGE}


def rungs(seen: Seen) -> Figure | Undrawn:
    """The decisions of each rung, and Spearman's correlation of values between following rungs.

    Of a study that stops no trial it shows what rungs would have decided.
    """
    counts, would = _decisions(seen), False
    if not counts and not seen.definition["rungs"]:
        counts, would = _decisions_of(false_stops_of(seen)), True
    if not counts:
        why = "no rung has decided yet" if seen.definition["rungs"] else "the study stops no trial early"
        return Undrawn(name=NAME, title=TITLE, why=why)
    epochs = sorted({rung for rung, _ in counts})
    links = _links(seen, epochs)
    words = WOULD if would else {what: what for what in SHADES}
    survival = [
        {
            "kind": "survival",
            "rung": str(rung),
            "what": words[what],
            "n": counts[rung, what],
            "tip": f"epoch {rung}: {counts[rung, what]:,} {words[what]}",
        }
        for rung in epochs
        for what in SHADES
    ]
    ranks = [
        {
            "kind": "rank",
            "link": f"{a} and {b}",
            "r": r,
            "text": f"{r:.2f} (n {n:,})",
            "tip": f"{r:.2f}, n {n}",
        }
        for a, b, r, n in links
    ]
    named = ", ".join(f"{counts[rung, STOPPED]:,} at epoch {rung}" for rung in epochs)
    return Figure(
        name=NAME,
        title=WOULD_TITLE if would else TITLE,
        how=_how(would=would),
        alt=f"Trials that rungs {'would have stopped' if would else 'stopped'}: {named}.",
        table=Table(
            title="Rungs",
            columns=("epoch", "trials", words[STOPPED], "rank correlation with the next", "n"),
            rows=tuple(
                (
                    rung,
                    counts[rung, CONTINUED] + counts[rung, STOPPED],
                    counts[rung, STOPPED],
                    *next(((r, n) for a, _, r, n in links if a == rung), (None, None)),
                )
                for rung in epochs
            ),
        ),
        panels=[_survival(epochs, words), *([_ranks()] if links else [])],
        values=[*survival, *ranks],
        height=230,
        notes=(*([] if links else [UNCOMPARED]), false_stops_in_words(seen)),
    )


def _how(*, would: bool) -> str:
    """How to read the figure."""
    ranks = (
        " A rank correlation (Spearman) near 1 says that the order at a rung is the order later, so that it"
        " stops the right trials."
    )
    if would:
        return (
            "The study stops no trial early. The bars are what rungs would have done with its trials."
            f"{ranks} It is over all trials that trained so long."
        )
    return (
        f"The bars are the trials that continued and those that were stopped.{ranks} It is over trials that"
        " reached both rungs, which were alike already, so it is lower than over all trials."
    )


def _decisions_of(found: FalseStops | str) -> Counter[tuple[int, str]]:
    """The decisions of rungs that the study does not have."""
    if isinstance(found, str):
        return Counter()
    stopped = {(epoch, STOPPED): found.stopped.get(epoch, 0) for epoch in found.epochs}
    reached = {epoch: found.reached.get(epoch, 0) for epoch in found.epochs}
    going = {(epoch, CONTINUED): reached[epoch] - stopped[epoch, STOPPED] for epoch in found.epochs}
    return Counter({key: n for key, n in {**stopped, **going}.items() if reached[key[0]]})


def _decisions(seen: Seen) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    decided: set[tuple[int, int]] = set()
    for report in seen.reports:
        if report.decision is None:
            continue
        rung = rung_between(seen.definition["rungs"], 0, report.epoch) or report.epoch
        if (report.number, rung) not in decided:
            decided.add((report.number, rung))
            found[rung, STOPPED if report.decision is Decision.STOP else CONTINUED] += 1
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


def _survival(epochs: Sequence[int], words: Mapping[str, str]) -> Spec:
    x = names("rung", "rung (epoch)", scale={"domain": [str(e) for e in epochs]}, axis={"labelAngle": 0})
    shades = colours("what", {words[what]: colour for what, colour in SHADES.items()})
    bar = {"type": "bar"}
    return layer(bar, where="survival", x=x, y=numbers("n", "trials"), color=shades, description=TIP)


def _ranks() -> Spec:
    x = names("link", "between epochs", axis={"labelAngle": 0})
    y = numbers("r", "rank correlation", domain=[-0.2, 1.1], nice=False)
    y["axis"] = {"values": [0, 0.2, 0.4, 0.6, 0.8, 1]}
    bar, text = {"type": "bar", "color": BLUE}, {"type": "text", "dy": -7, "fontSize": 11}
    return {
        "layer": [
            layer(bar, where="rank", x=x, y=y, description=TIP),
            layer(text, where="rank", x=x, y=y, text={"field": "text"}),
        ]
    }
