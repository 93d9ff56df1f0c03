"""The metrics of own training that tables hold, and their typed columns in frames.

Called by `reader` for queries and for frames, so that both have the same columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.dataset as ds

from tune_jobs.store.columns.metrics import (
    METRICS,
    NUMBER,
    TABLES_WITH_METRICS,
    TEXT,
    TRUTH,
    OwnMetric,
    metric_columns,
)
from tune_jobs.store.columns.params import OwnParam
from tune_jobs.store.columns.schema import PARAM_PREFIX
from tune_jobs.store.reading.connection import QueryLimits, as_query_error, connect
from tune_jobs.store.reading.json_columns import select_with
from tune_jobs.store.reading.queries import metric_column, own_columns

_KIND_BY_FIRST = {'"': TEXT, "[": TEXT, "{": TEXT, "t": TRUTH, "f": TRUTH, "n": None}
"""The type of a JSON value by its first character; any other begins a number, and null has no type."""

_KEYS_AND_VALUES = f"""
    SELECT DISTINCT key, left(CAST(value AS VARCHAR), 1) FROM (
        SELECT unnest(json_keys({METRICS})) AS key, unnest(json_extract({METRICS}, '$.*')) AS value
        FROM found WHERE {METRICS} <> '{{}}'
    )
"""
"""Each text is read once. A join with `json_each` would copy it for each of its metrics, which takes more
than 2 GiB for 300 metrics of 20,000 reports."""


def find_metrics(
    tables: Mapping[str, pa.Table | ds.Dataset],
    own_params: Mapping[str, OwnParam],
    *,
    limits: QueryLimits | None = None,
) -> dict[str, OwnMetric]:
    """The metrics in the tables that have metrics, by their columns, with types over all these tables.

    Args:
        own_params: the parameters without a column of their type in the files, whose columns views add too.

    Raises:
        QueryError: a table cannot be read, or the limits are too low.
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    limits = limits or QueryLimits()
    columns = {name: table.schema.names for name, table in tables.items()}
    with connect(limits) as connection, as_query_error(columns, limits):
        for name in TABLES_WITH_METRICS:
            if name not in tables:
                continue
            connection.register("found", tables[name])
            for key, first in connection.execute(_KEYS_AND_VALUES).fetchall():
                kind = _KIND_BY_FIRST.get(first, NUMBER)
                kinds[key] |= {kind} if kind is not None else set()
            connection.unregister("found")
    in_frames = (PARAM_PREFIX + column for column in own_params)
    return metric_columns(kinds, taken_too=(*own_columns(own_params).values(), *in_frames))


def with_own_metrics(table: pa.Table, own_metrics: Mapping[str, OwnMetric]) -> pa.Table:
    """A table of reports or trials with a typed column added for each metric, as the views have it."""
    if not own_metrics:
        return table
    typed = [metric_column(column, own) for column, own in own_metrics.items()]
    with connect(QueryLimits()) as connection:
        connection.register("found", table.select([METRICS]))
        added = connection.sql(select_with([], typed, source="found")).to_arrow_table()
    for column in added.column_names:
        table = table.append_column(column, added.column(column))
    return table
