"""What rungs would have done with the trials of a study that stops none early, as numbers and in words.

`tune_jobs.analysis.false_stops` computes; this reads a study for it. Called by `rungs` and by
`tune_jobs.report.findings`.
"""

from __future__ import annotations

from eml_models.wording import count_of, listed
from tune_jobs.analysis.false_stops import FalseStops, RungReport, find_false_stops
from tune_jobs.report.figures.seen import Seen
from tune_jobs.study.method import Asha

LEAST_CURVES = 5
"""Fewer complete curves give no rate that means anything."""

MOST_CURVES = 5000
"""The most complete curves that are taken: the first of more."""

UNKNOWN = "The false-stop rate is not known: "


def false_stops_of(seen: Seen) -> FalseStops | str:
    """What the study's rule, or that of a study by default, would have done; or a sentence on why not."""
    if seen.definition["rungs"]:
        return (
            f"{UNKNOWN}no complete curve, since the trials that a rung stopped were not trained to their end."
        )
    if len(seen.objectives) > 1:
        return f"{UNKNOWN}several objectives give the ends of trials no single order."
    finals = {
        row.number: row.objective or 0.0
        for row in seen.scored[:MOST_CURVES]
        if any(
            epoch < row.epochs and report.value(seen.metric) is not None
            for epoch, report in seen.curves.get(row.number, {}).items()
        )
    }
    if len(finals) < LEAST_CURVES:
        return f"{UNKNOWN}it needs {LEAST_CURVES} complete curves, and the study has {len(finals)}."
    reports = sorted(
        (report for number in finals for report in seen.curves.get(number, {}).values()),
        key=lambda report: report.seq,
    )
    found = find_false_stops(
        (RungReport(number=r.number, epoch=r.epoch, value=r.value(seen.metric)) for r in reports),
        finals,
        Asha(**(seen.definition["asha"] or {})),
        epochs={row.number: row.epochs for row in seen.scored},
        direction=seen.objective.direction,
    )
    return found or f"{UNKNOWN}the trials are too short for a rung."


def words_of_rule(found: FalseStops) -> str:
    """``rungs after epochs 1 and 3; of 3 trials about 1 continues``."""
    places = listed([str(epoch) for epoch in found.epochs])
    where = f"a rung after epoch {places}" if len(found.epochs) == 1 else f"rungs after epochs {places}"
    return f"{where}; of {found.asha.reduction_factor} trials about 1 continues"


def false_stops_in_words(seen: Seen) -> str:
    """The rate, how it is computed, and its counts; or why it is not known."""
    found = false_stops_of(seen)
    if isinstance(found, str):
        return found
    stopped = found.num_trials - found.num_whole
    first = "the first " if len(seen.scored) > MOST_CURVES else ""
    return (
        f"The false-stop rate is {found.rate:.0%} ({found.num_missed:,} of {found.num_whole:,}; {first}"
        f"{found.num_trials:,} complete curves): early stopping ({words_of_rule(found)}), given these reports"
        f" in the order in which they came, would have stopped {count_of(stopped, 'trial')} and let"
        f" {found.num_whole:,} run to their ends. Of the {found.num_whole:,} best trials by their ends,"
        f" {found.num_missed:,} would have been stopped. The best value would have been"
        f" {found.best_whole:.6g}; of all trials it is {found.best:.6g}."
    )
