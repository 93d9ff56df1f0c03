"""The names and types of the columns that views and frames add for metrics of own training.

Files hold all metrics of a report as one JSON text. Its numbers become doubles, so that a metric keeps its
type when a report holds a whole number; truth values and texts keep theirs if a metric has nothing else.
Called by the views of `query` and by frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.study.same_names import alike, fold, spelled

METRICS = "metrics"
TABLES_WITH_METRICS = ("reports", "trials")
PREFIX = "metric_"


def metric_columns(names: Iterable[str], *, taken_too: Iterable[str] = ()) -> dict[str, str]:
    """The column of each metric in the views: its own name, if no table with metrics has such a column.

    SQL ignores the case of letters in names. A metric gets `PREFIX` where a column has its name. Where
    metrics differ only by case, the column of each says where its capitals are.

    Args:
        taken_too: columns that the views add for parameters.
    """
    known = sorted(set(names))
    one_for_sql = {name for group in alike(known) for name in group}
    taken = {fold(name) for table in TABLES_WITH_METRICS for name in SCHEMAS[table].names}
    taken |= {fold(name) for name in taken_too}
    found = {}
    for name in known:
        column = spelled(name) if name in one_for_sql else name
        while fold(column) in taken:
            column = PREFIX + column
        taken.add(fold(column))
        found[name] = column
    return found


def kind_of_values(kinds: Iterable[type]) -> str:
    """The type of a column of values of these Python types."""
    present = set(kinds) - {type(None)}
    if present <= {int, float}:
        return "double"
    return "bool" if present == {bool} else "string"


def metric_kinds(texts: Iterable[str]) -> dict[str, str]:
    """The type of the column of each metric in JSON texts, by name."""
    kinds: dict[str, set[type]] = {}
    for text in texts:
        for name, value in json.loads(text).items():
            kinds.setdefault(name, set()).add(type(value))
    return {name: kind_of_values(found) for name, found in sorted(kinds.items())}


def metric_value(values: Mapping[str, Any], name: str, kind: str) -> Any:
    """The value of a metric as its column holds it; None if the report lacks it."""
    value = values.get(name)
    if value is None:
        return None
    if kind == "double":
        return float(value)
    return value if kind == "bool" or isinstance(value, str) else json.dumps(value)
