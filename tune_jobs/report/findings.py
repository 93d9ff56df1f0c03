"""What a study came to, in words: the start of its page.

Every sentence follows from rows by a rule that is stated beside it. Called by `tune_jobs.report.page`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eml_models.wording import count_of, duration_of, first_line, listed
from tune_jobs.analysis.factors import Outcome, design_of
from tune_jobs.analysis.intervals import deviation_of
from tune_jobs.analysis.ledger import account
from tune_jobs.report.factors import correlations_table
from tune_jobs.report.figures.complete_curves import false_stops_in_words
from tune_jobs.report.figures.seen import Seen, shown, value_of
from tune_jobs.report.winner import iter_won
from tune_jobs.study.rows import Decision, State, as_json_text

WON, STOPPED, SECONDS, CHECKS = (
    "What won",
    "What was stopped, and what failed",
    "Where the seconds went",
    "Checks",
)

EDGE = 0.02
"""The part of a range, in its own scale, that counts as its edge."""

FEW_WHOLE = 3
"""A range of fewer whole steps is nearly all edge, so it is not looked at."""

WEAK = 0.1
"""A rank correlation below this, over at least `ENOUGH` trials, is called no visible effect."""

ENOUGH = 20

FEW_REPEATS = 3
"""Fewer trials of a recipe than this do not tell its spread."""

LAUNCH_BOUND = 0.8
"""A network in eager mode is called launch-bound if a graph takes less than this part of its time."""

NOISY = 0.1
"""A timing is called noisy if its quartiles are further apart than this part of its median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Sentences under headlines, in the order of a page."""

    parts: Mapping[str, tuple[str, ...]]


def findings_of(seen: Seen) -> Findings:
    """The findings of a study."""
    return Findings(
        parts={
            WON: tuple(iter_won(seen)),
            STOPPED: tuple(_stopped(seen)),
            SECONDS: tuple(_seconds(seen)),
            CHECKS: tuple(_checks(seen)) or ("Nothing was found that needs care.",),
        }
    )


def _stopped(seen: Seen) -> Iterator[str]:
    reports = [report for curve in seen.curves.values() for report in curve.values()]
    stops = Counter(report.epoch for report in reports if report.decision is Decision.STOP)
    if stops:
        total = sum(row.state is State.STOPPED for row in seen.ends)
        rungs = listed([f"{number:,} after epoch {epoch}" for epoch, number in sorted(stops.items())])
        epochs = sum(row.epochs for row in seen.ends if row.state is State.STOPPED)
        whole = seen.definition["epochs"] or max((row.epochs for row in seen.ends), default=0)
        saved = total * whole - epochs if isinstance(whole, int) else 0
        spared = f" They were spared {saved:,} epochs." if saved > 0 else ""
        yield f"{count_of(total, 'trial')} of {len(seen.ends):,} were stopped: {rungs}.{spared}"
    elif seen.definition["rungs"]:
        yield "No trial was stopped at a rung."
    else:
        yield "The study stops no trial early."
    if stops or not (seen.definition["rungs"] or seen.definition["candidates"]):
        yield false_stops_in_words(seen)
    refused = sum(row.state is State.INFEASIBLE for row in seen.ends)
    if refused:
        yield f"{count_of(refused, 'proposal')} broke a limit and cost no training."
    failed = [row for row in seen.ends if row.state is State.FAILED]
    if failed:
        kinds = Counter(str(row.failure) for row in failed)
        words = listed([f"{number:,} {kind}" for kind, number in kinds.most_common()])
        yield f"{count_of(len(failed), 'trial')} failed ({words}). The last: {first_line(failed[-1].reason)}"


def _seconds(seen: Seen) -> Iterator[str]:
    spent = {name: s for name, s in account(seen.rows).items() if s > 0}
    whole = sum(spent.values())
    if not whole:
        yield "The rows hold no seconds yet."
        return
    largest = sorted(spent.items(), key=lambda item: -item[1])[:4]
    words = listed([f"{name} {seconds / whole:.0%}" for name, seconds in largest])
    yield f"Of {duration_of(whole)} of workers: {words}."


def _checks(seen: Seen) -> Iterator[str]:
    yield from _edges(seen)
    yield from _weak(seen)
    if (few := _few_repeats(seen)) is not None:
        yield few
    yield from _timings(seen)


def _edges(seen: Seen) -> Iterator[str]:
    if not seen.ranked:
        return
    best = seen.params[seen.ranked[0].number]
    found = []
    for parameter in seen.searched:
        value = best.get(parameter["name"])
        if parameter["kind"] == "choice" or not isinstance(value, int | float):
            continue
        if parameter["kind"] == "integer" and parameter["high"] - parameter["low"] < FEW_WHOLE:
            continue
        side = _edge_of(parameter, float(value))
        if side:
            ends = f"{shown(parameter['low'])} to {shown(parameter['high'])}"
            found.append(f"{parameter['name']} {shown(value)} ({side} edge of {ends})")
    if found:
        yield (
            f"The best trial lies at the edge of a range: {listed(found)}. A wider range may hold a better"
            " one."
        )


def _edge_of(parameter: Mapping[str, Any], value: float) -> str | None:
    """The edge of the range at which a value lies, in the scale in which it is searched."""
    import math

    low, high = float(parameter["low"]), float(parameter["high"])
    if high <= low:
        return None
    if parameter.get("log") and low > 0:
        low, high, value = math.log(low), math.log(high), math.log(value)
    place = (value - low) / (high - low)
    return "lower" if place <= EDGE else "upper" if place >= 1 - EDGE else None


def _weak(seen: Seen) -> Iterator[str]:
    outcomes = [
        Outcome(params=seen.params[row.number], value=value_of(row))
        for row in seen.ends
        if row.state is State.COMPLETED
    ]
    table = correlations_table(outcomes, design_of(seen.definition))
    weak = [
        str(name) for name, n, found in table.rows if int(str(n)) >= ENOUGH and abs(float(str(found))) < WEAK
    ]
    if weak:
        yield (
            f"No effect of {listed(weak)} is visible among the completed trials (rank correlation with"
            f" {seen.metric} below {WEAK}): fix what costs time, or look at its slice."
        )


def _few_repeats(seen: Seen) -> str | None:
    if not seen.ranked:
        return None
    best = as_json_text(seen.params[seen.ranked[0].number])
    values = [row.objective or 0.0 for row in seen.ranked if as_json_text(seen.params[row.number]) == best]
    if len(values) >= FEW_REPEATS:
        return None
    spread = f", standard deviation {deviation_of(values):.2g}" if len(values) > 1 else ""
    return (
        f"The best recipe was trained {count_of(len(values), 'time')}{spread}: at least {FEW_REPEATS} seeds"
        " are needed to know how much of its lead is chance."
    )


def _timings(seen: Seen) -> Iterator[str]:
    noisy = [row for row in seen.latencies if row.q3_ms - row.q1_ms > NOISY * row.median_ms]
    if noisy:
        yield (
            f"{len(noisy):,} of {count_of(len(seen.latencies), 'timing')} are noisy: their quartiles are more"
            f" than {NOISY:.0%} of the median apart. Measure again on a quiet machine."
        )
    graphs: dict[tuple[str, int, str], dict[str, float]] = defaultdict(dict)
    for row in seen.latencies:
        key = (row.network, row.batch_size, row.precision)
        held = graphs[key].get(row.execution)
        graphs[key][row.execution] = min(row.median_ms, held) if held is not None else row.median_ms
    bound = [
        network
        for (network, batch, _), ms in graphs.items()
        if "eager" in ms and "graph" in ms and ms["graph"] < LAUNCH_BOUND * ms["eager"]
    ]
    if bound:
        yield (
            f"{listed(sorted(set(bound)))} spend much of their time on launching kernels: as a graph they are"
            " faster, so fewer MACs alone will not make them quicker."
        )
