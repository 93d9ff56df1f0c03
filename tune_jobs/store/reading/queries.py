"""SQL over the store's tables with DuckDB, in memory and read-only for any SQL.

DuckDB gets the tables as Arrow data. After that it may touch no file, load no extension, look up no Python
variable and spill nothing to disk, and its settings are locked. A query is one statement that returns rows;
anything else is refused before it runs. Knows Arrow data and names, not the store's folders. Called by
`reader`.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from tune_jobs.errors import QueryError
from tune_jobs.store.columns.event_details import DETAIL, DETAIL_COLUMNS, EVENTS
from tune_jobs.store.columns.metrics import METRICS, TABLES_WITH_METRICS, OwnMetric
from tune_jobs.store.columns.params import OwnParam
from tune_jobs.store.columns.schema import PARAM_COLUMNS, PARAM_PREFIX, TABLES_WITH_PARAMS
from tune_jobs.store.columns.sql_types import as_arrow, without_end
from tune_jobs.store.reading.connection import QueryLimits, as_query_error, connect
from tune_jobs.store.reading.json_columns import JsonColumn, quoted, select_with
from tune_jobs.study.same_names import alike, fold, spelled

_ROW_STATEMENTS = frozenset({"SELECT", "EXPLAIN", "MULTI"})
"""DuckDB's kinds of statements that return rows and change nothing. DESCRIBE, SHOW and SUMMARIZE are of kind
SELECT; PIVOT becomes MULTI."""

_LOCKDOWN = ("SET enable_external_access = false", "SET lock_configuration = true")
"""Run in this order, after the settings of `connect` and after the views are made. The temporary folder must
be set to none first, else SQL could write to it; a locked setting cannot be changed any more."""


def run_query(
    sql: str,
    tables: Mapping[str, pa.Table | ds.Dataset],
    *,
    own_params: Mapping[str, OwnParam],
    own_metrics: Mapping[str, OwnMetric],
    last: Container[str] = (),
    max_rows: int | None,
    limits: QueryLimits,
) -> pa.Table:
    """The rows that a query returns; each of `tables` is a view of its name.

    Args:
        own_params: the parameters that have no column of their type in the files, by their columns; the
            views of `starts` and `trials` add these columns.
        own_metrics: the metrics of own training, by the columns that the views of `reports` and `trials` add.
        last: columns that a view lists behind all others.
        max_rows: the most rows that are fetched; None for all.

    Raises:
        QueryError: the query was refused, failed or took too long; the message has DuckDB's own and the
            names of the views.
    """
    typed = {table: _typed_columns(table, own_params, own_metrics) for table in tables}
    columns = {
        name: [*table.schema.names, *(one.column for one in typed[name])] for name, table in tables.items()
    }
    with connect(limits) as connection, as_query_error(columns, limits):
        for name, table in tables.items():
            connection.register(f"{name}_in_files", table)
            rows = select_with(table.schema.names, typed[name], source=f"{name}_in_files")
            order = ", ".join(map(quoted, sorted(columns[name], key=lambda column: column in last)))
            connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT {order} FROM ({rows})")
        for statement in _LOCKDOWN:
            connection.execute(statement)
        _check_statement(connection, sql)
        with _time_limit(connection, limits.seconds):
            return _fetch(connection, sql, max_rows)


def _typed_columns(
    table: str, own_params: Mapping[str, OwnParam], own_metrics: Mapping[str, OwnMetric]
) -> list[JsonColumn]:
    """The columns that a view adds to its table."""
    typed = []
    if table == EVENTS:
        typed += [event_column(name, kind) for name, kind in DETAIL_COLUMNS.items()]
    if table in TABLES_WITH_PARAMS:
        called = own_columns(own_params)
        typed += [param_column(called[column], own) for column, own in own_params.items()]
    if table in TABLES_WITH_METRICS:
        typed += [metric_column(column, own) for column, own in own_metrics.items()]
    return typed


def param_column(column: str, own: OwnParam) -> JsonColumn:
    """The column of a parameter that has no column of its type in the files."""
    shipped = own.name in PARAM_COLUMNS
    in_files = PARAM_PREFIX + own.name if shipped else None
    return JsonColumn(
        column=column, text="params", key=own.name, kind=own.kind, is_mixed=shipped, unless=in_files
    )


def metric_column(column: str, own: OwnMetric) -> JsonColumn:
    """The column of the values of one type of a metric of own training."""
    return JsonColumn(column=column, text=METRICS, key=own.name, kind=own.kind, is_mixed=own.is_mixed)


def event_column(name: str, kind: str) -> JsonColumn:
    """The column of what an attempt notes about its GPU and its steps."""
    return JsonColumn(column=name, text=DETAIL, key=name, kind=kind)


def own_columns(own_params: Iterable[str]) -> dict[str, str]:
    """The column in the views of each parameter that has no column in the files: `param_` and its name.

    SQL ignores the case of letters in names. Where names differ only by case, from each other or from a
    shipped parameter, the column of each says where its capitals are. No column then has the plain name,
    because a query for one parameter would get the values of another.
    """
    own = sorted(own_params)
    one_for_sql = {name for group in alike([*own, *PARAM_COLUMNS]) for name in group}
    taken = {fold(name) for name in (*own, *PARAM_COLUMNS)}
    found = {}
    for name in own:
        column = spelled(name) if name in one_for_sql else name
        while name in one_for_sql and fold(column) in taken:
            column += "_"
        taken.add(fold(column))
        found[name] = PARAM_PREFIX + column
    return found


def _check_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError(
            f"a query is one statement that returns rows, got {len(statements)} statements; write one SELECT"
        )
    kind = statements[0].type.name
    if kind not in _ROW_STATEMENTS:
        raise QueryError(
            f"a query returns rows and changes nothing, got a statement of kind {kind}; write SELECT,"
            " DESCRIBE, SUMMARIZE, SHOW or EXPLAIN"
        )


def _fetch(connection: duckdb.DuckDBPyConnection, sql: str, max_rows: int | None) -> pa.Table:
    relation = connection.sql(without_end(sql))
    return as_arrow(relation if max_rows is None else relation.limit(max_rows))


@contextmanager
def _time_limit(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
