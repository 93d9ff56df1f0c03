"""Notes on columns that a query or a frame has in place of a parameter's or a metric's plain name.

Pure functions of the query's text and of the columns. Called by `reader`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tune_jobs.store.columns.metrics import KINDS, OwnMetric
from tune_jobs.store.columns.params import OwnParam
from tune_jobs.store.columns.schema import PARAM_COLUMNS, PARAM_PREFIX
from tune_jobs.store.reading.queries import own_columns
from tune_jobs.study.same_names import alike, fold

LISTS_COLUMNS = re.compile(
    r"(?:\bselect|,|\.)\s*\*|^\s*from\b|\b(?:describe|summarize|columns)\b", re.IGNORECASE
)

MAX_NAMED = 8
"""The most metrics that a note names; there may be hundreds."""


def query_notes(
    sql: str, own_params: Mapping[str, OwnParam], own_metrics: Mapping[str, OwnMetric]
) -> list[str]:
    """The notes on the columns that a query names or lists.

    Args:
        own_params: the parameters without a column of their type in the files, by their columns.
        own_metrics: the metrics of own training, by their columns.
    """
    notes = [alike_note(sql, own_params), other_types_note(sql, own_params)]
    return [*filter(None, notes), *metric_notes(own_metrics, sql=sql)]


def alike_note(sql: str, own_params: Iterable[str]) -> str | None:
    """A note for a query that names or lists columns of parameters that differ only by case; else None."""
    called = own_columns(own_params)
    groups = [
        f"{' and '.join(group)} ({', '.join(called.get(name, PARAM_PREFIX + name) for name in group)})"
        for group in alike([*called, *PARAM_COLUMNS])
        if LISTS_COLUMNS.search(sql) or fold(PARAM_PREFIX + group[0]) in fold(sql)
    ]
    if not groups:
        return None
    return f"SQL ignores the case of letters, so these parameters have other columns: {'; '.join(groups)}"


def other_types_note(sql: str, own_params: Mapping[str, OwnParam]) -> str | None:
    """A note for a query that names a shipped parameter whose values have another type in some studies."""
    called = own_columns(own_params)
    named = set(re.findall(r"\w+", fold(sql)))
    found = [
        f"{own.name} of type {own.kind} ({called[column]})"
        for column, own in own_params.items()
        if own.name in PARAM_COLUMNS and PARAM_PREFIX + own.name in named
    ]
    if not found:
        return None
    return f"parameters of other types have columns of their own: {', '.join(found)}"


def metric_notes(own_metrics: Mapping[str, OwnMetric], *, sql: str | None = None) -> list[str]:
    """The notes on metrics that differ only by case, and on metrics with values of several types.

    Args:
        own_metrics: the metrics by their columns.
        sql: a query, for the notes on what it names or lists; None for a frame, which has all columns.
    """
    columns: dict[str, list[str]] = {}
    for column, metric in own_metrics.items():
        columns.setdefault(metric.name, []).append(column)
    groups = [
        f"{' and '.join(group)} ({', '.join(column for name in group for column in columns[name])})"
        for group in alike(columns)
        if _is_asked(sql, [*group, *(column for name in group for column in columns[name])])
    ]
    mixed = [
        f"{name} ({', '.join(f'{KINDS[own_metrics[c].kind]} in {c}' for c in called)})"
        for name, called in columns.items()
        if len(called) > 1 and _is_asked(sql, [name, *called])
    ]
    notes = []
    if groups:
        notes.append(
            f"SQL ignores the case of letters, so these metrics have other columns: {_first_of(groups)}"
        )
    if mixed:
        notes.append(
            f"these metrics have values of several types, and a column for each type: {_first_of(mixed)}"
        )
    return notes


def _first_of(groups: Sequence[str]) -> str:
    others = len(groups) - MAX_NAMED
    return "; ".join([*groups[:MAX_NAMED], *([f"and {others:,} more"] if others > 0 else [])])


def _is_asked(sql: str | None, names: Sequence[str]) -> bool:
    """Whether a query lists all columns, or names one of these."""
    if sql is None or LISTS_COLUMNS.search(sql):
        return True
    text = fold(sql)
    return any(re.search(rf"(?<!\w){re.escape(fold(name))}(?!\w)", text) for name in names)
