"""A study of finalists as tables: each candidate's test accuracy and its difference to the baselines.

Computed from the store's rows and the study's definition alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tune_jobs.report.intervals import Difference, Estimate, estimate, holm, span_of, verdict, welch
from tune_jobs.report.tables import Table
from tune_jobs.trial import State

SPAN = span_of("test_accuracy")

SHOWN_FIELDS = ("optimizer", "learning_rate", "weight_decay", "schedule", "batch_size")
"""What a recipe is described by, beside its model and options."""


def candidates_table(trials: pd.DataFrame, definition: Mapping[str, Any]) -> Table:
    """One row a candidate and baseline that it is compared with, the most accurate first.

    The intervals of means are over seeds. Differences are a candidate's mean less the baseline's; all of them
    are corrected together.
    """
    accuracies = _accuracies(trials, definition)
    baselines = [c["name"] for c in definition["candidates"] if c["baseline"] and accuracies[c["name"]]]
    means = {name: estimate(values).within(SPAN) for name, values in accuracies.items() if values}
    others = [name for name in accuracies if name not in baselines]
    pairs = [(name, baseline) for name in others if name in means for baseline in baselines]
    differences = {(name, other): welch(accuracies[name], accuracies[other]) for name, other in pairs}
    corrected = dict(zip(differences, holm([d.p for d in differences.values()]), strict=True))
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
            f" Welch's t, p by Holm over {len(pairs)}"
        ),
        columns=(*columns, "less", "difference", "diff_low", "diff_high", "p", "verdict"),
        rows=tuple(rows),
    )


def for_people(table: Table) -> Table:
    """`candidates_table` with each interval behind its mean, so that a row fits on a line."""
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    dropped = {"low", "high", "diff_low", "diff_high"}
    if not any(row["failed"] for row in rows):
        dropped.add("failed")
    for row in rows:
        row["test_accuracy"] = _with_interval(row["test_accuracy"], row["low"], row["high"])
        row["difference"] = _with_interval(row["difference"], row["diff_low"], row["diff_high"])
    columns = tuple(name for name in table.columns if name not in dropped)
    return Table(
        title=table.title, columns=columns, rows=tuple(tuple(row[name] for name in columns) for row in rows)
    )


def recipes_table(definition: Mapping[str, Any]) -> Table:
    """What the candidates are, and how they are trained."""
    rows = []
    for candidate in definition["candidates"]:
        recipe = {**definition["recipe"], **candidate["changes"]}
        options = " ".join(f"{name}={_short(value)}" for name, value in recipe["model_options"].items())
        rows.append(
            (candidate["name"], recipe["model"], options or "default", *map(recipe.get, SHOWN_FIELDS))
        )
    recipe = definition["recipe"]
    return Table(
        title=f"what they are; {recipe['epochs']} epochs each on {recipe['dataset']}, train + validation",
        columns=("candidate", "model", "options", *SHOWN_FIELDS),
        rows=tuple(rows),
    )


def _accuracies(trials: pd.DataFrame, definition: Mapping[str, Any]) -> dict[str, list[float]]:
    tested = trials[(trials["state"] == State.COMPLETED) & trials["test_accuracy"].notna()]
    return {
        candidate["name"]: [
            float(value) for value in tested[tested["param_candidate"] == candidate["name"]]["test_accuracy"]
        ]
        for candidate in definition["candidates"]
    }


def _with_interval(value: object, low: object, high: object) -> str | None:
    if value is None:
        return None
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} [{low:.4f}, {high:.4f}]"


def _cells_of(found: Estimate | None) -> tuple[object, ...]:
    return (0, None, None, None) if found is None else (found.n, found.mean, found.low, found.high)


def _compared(baseline: str, found: Difference, p: float | None) -> tuple[object, ...]:
    return (baseline, found.value, found.low, found.high, p, verdict(p))


def _short(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + " ".join(map(_short, value)) + "]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
