"""A study of finalists as tables: each candidate's test accuracy and its difference to the baselines.

Made only from the store's rows and the study's definition. Called by `documents`.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd

from eml_models.data.file_names import label
from eml_models.wording import count_of
from tune_jobs.analysis.intervals import (
    Difference,
    Estimate,
    estimate,
    holm,
    span_of,
    verdict,
    welch,
    with_interval,
)
from tune_jobs.report.for_people import network_words, shared, short, words_of
from tune_jobs.report.tables import Table
from tune_jobs.report.text import format_value
from tune_jobs.study.rows import State

DIFFERENCE = "difference to a baseline"

SPAN = span_of("test_accuracy")

SHOWN_FIELDS = ("optimizer", "learning_rate", "weight_decay", "schedule", "batch_size")
"""Fields that describe a recipe, beside its model and options."""


def candidates_table(trials: pd.DataFrame, definition: Mapping[str, Any]) -> Table:
    """A row for each pair of a candidate and a baseline, the most accurate first.

    The intervals of means are over seeds. A difference is the candidate's mean minus the baseline's. The p
    values of all differences are corrected together.
    """
    accuracies = _accuracies(trials, definition)
    baselines = [c["name"] for c in definition["candidates"] if c["baseline"] and accuracies[c["name"]]]
    means = {name: estimate(values).within(SPAN) for name, values in accuracies.items() if values}
    others = [name for name in accuracies if name not in baselines]
    pairs = [(name, baseline) for name in others if name in means for baseline in baselines]
    differences = {(name, other): welch(accuracies[name], accuracies[other]) for name, other in pairs}
    corrected = dict(zip(differences, holm([d.p for d in differences.values()]), strict=True))
    num_judged = sum(p is not None for p in corrected.values())
    costs = {name: group.iloc[0] for name, group in trials.groupby("param_candidate")}
    failed = trials[trials["state"] == State.FAILED].groupby("param_candidate").size()
    rows = []
    for name in sorted(accuracies, key=lambda name: -means[name].mean if name in means else 1.0):
        cost = costs.get(name)
        own = (
            name,
            *_cells_of(means.get(name)),
            int(failed.get(name, 0)),
            None if cost is None else cost["macs"],
            None if cost is None else cost["parameters"],
        )
        compared = [_compared(p[1], differences[p].within(SPAN), corrected[p]) for p in pairs if p[0] == name]
        rows += [(*own, *cells) for cells in compared or [(None,) * 6]]
    columns = ("candidate", "n", "test_accuracy", "low", "high", "failed", "macs", "parameters")
    return Table(
        title=(
            "test accuracy with its 95 % interval (Student's t over seeds); differences to baselines by"
            f" Welch's t, p by Holm over {num_judged}"
        ),
        columns=(*columns, "less", "difference", "diff_low", "diff_high", "p", "verdict"),
        rows=tuple(rows),
    )


def for_people(table: Table) -> Table:
    """`candidates_table` with each interval behind its mean, and a candidate's differences below it."""
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    by_candidate: dict[object, list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        by_candidate[row["candidate"]].append(row)
    shown = ["candidate", "n", "test_accuracy", "macs", "parameters"]
    if any(row["failed"] for row in rows):
        shown.append("failed")
    cells = []
    for first, *others in by_candidate.values():
        first["test_accuracy"] = _with_interval(first["test_accuracy"], first["low"], first["high"])
        differences = [_difference_in_words(row) for row in (first, *others) if row["less"] is not None]
        cells.append((*(first[name] for name in shown), "\n".join(differences) or None))
    return Table(
        title=table.title,
        columns=(*shown, DIFFERENCE),
        rows=tuple(cells),
        below=(DIFFERENCE,),
        states=("failed",),
    )


def _difference_in_words(row: Mapping[str, object]) -> str:
    p = f", p {format_value(row['p'])}" if row["p"] is not None else ""
    found = _with_interval(row["difference"], row["diff_low"], row["diff_high"])
    return f"less {row['less']}: {found}{p}, {row['verdict']}"


def recipes_table(definition: Mapping[str, Any]) -> Table:
    """The network of each candidate, and its recipe."""
    recipes = {c["name"]: {**definition["recipe"], **c["changes"]} for c in definition["candidates"]}
    fields = [{name: short(recipe[name]) for name in SHOWN_FIELDS} for recipe in recipes.values()]
    same = shared(fields)
    rows = tuple(
        (
            name,
            shlex.quote(network_words(recipe)),
            words_of({n: v for n, v in own.items() if n not in same}) or None,
        )
        for (name, recipe), own in zip(recipes.items(), fields, strict=True)
    )
    recipe = definition["recipe"]
    return Table(
        title=(
            f"networks and recipes; {count_of(recipe['epochs'], 'epoch')} each on {label(recipe['dataset'])},"
            " train + validation"
        ),
        note=f"the same in all: {words_of(same)}" if same else "",
        columns=("candidate", "network", "recipe"),
        rows=rows,
        below=("network", "recipe"),
    )


def _accuracies(trials: pd.DataFrame, definition: Mapping[str, Any]) -> dict[str, list[float]]:
    tested = trials[(trials["state"] == State.COMPLETED) & trials["test_accuracy"].notna()]
    return {
        candidate["name"]: [
            float(value) for value in tested[tested["param_candidate"] == candidate["name"]]["test_accuracy"]
        ]
        for candidate in definition["candidates"]
    }


def _with_interval(value: Any, low: Any, high: Any) -> str | None:
    return None if value is None else with_interval(value, low, high)


def _cells_of(found: Estimate | None) -> tuple[object, ...]:
    return (0, None, None, None) if found is None else (found.n, found.mean, found.low, found.high)


def _compared(baseline: str, found: Difference, p: float | None) -> tuple[object, ...]:
    return (baseline, found.value, found.low, found.high, p, verdict(p))
