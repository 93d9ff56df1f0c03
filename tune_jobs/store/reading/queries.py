"""SQL over the store's tables with DuckDB, in memory and read-only for any SQL.

DuckDB gets the tables as Arrow data. After that it may touch no file, load no extension, look up no Python
variable and spill nothing to disk, and its settings are locked. A query is one statement that returns rows;
anything else is refused before it runs. Knows Arrow data and names, not the store's folders. Called by
`reader`.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from eml_models.errors import sort_by_nearness
from tune_jobs.errors import QueryError
from tune_jobs.store.columns.metrics import METRICS, TABLES_WITH_METRICS, kind_of_values, metric_columns
from tune_jobs.store.columns.params import OwnParam
from tune_jobs.store.columns.schema import PARAM_COLUMNS, PARAM_PREFIX, TABLES_WITH_PARAMS
from tune_jobs.store.columns.sql_types import as_arrow, without_end
from tune_jobs.study.same_names import alike, fold, spelled

LISTS_COLUMNS = re.compile(r"select\s+\*|^\s*from\b|\b(?:describe|summarize|columns)\b", re.IGNORECASE)
MAX_NEAREST_COLUMNS = 6
MAX_THREADS = 4

_ROW_STATEMENTS = frozenset({"SELECT", "EXPLAIN", "MULTI"})
"""DuckDB's kinds of statements that return rows and change nothing. DESCRIBE, SHOW and SUMMARIZE are of kind
SELECT; PIVOT becomes MULTI."""

_PYTHON_OF_JSON = {
    "DOUBLE": float,
    "BIGINT": int,
    "UBIGINT": int,
    "HUGEINT": int,
    "BOOLEAN": bool,
    "VARCHAR": str,
    "NULL": type(None),
}
"""The type in Python of DuckDB's types of JSON values."""

_DUCKDB_SCALARS = {"string": "VARCHAR", "double": "DOUBLE", "int64": "BIGINT", "bool": "BOOLEAN"}

_JSON_OF_KIND = {
    "string": ("VARCHAR",),
    "double": ("DOUBLE", "BIGINT", "UBIGINT", "HUGEINT"),
    "int64": ("BIGINT", "UBIGINT"),
    "bool": ("BOOLEAN",),
}
"""DuckDB's types of JSON values by the type of a parameter; a list has the type ARRAY."""

_CONFIG: Mapping[str, str] = {
    "temp_directory": "",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
_LOCKDOWN = ("SET enable_external_access = false", "SET lock_configuration = true")
"""Run in this order, after `_CONFIG` and after the views are made. The temporary folder must be set to none
first, else SQL could write to it; a locked setting cannot be changed any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """Limits of one query: memory in MiB, threads, and seconds."""

    memory_mib: int = 2048
    threads: int = MAX_THREADS
    seconds: float = 300.0


def run_query(
    sql: str,
    tables: Mapping[str, pa.Table | ds.Dataset],
    *,
    own_params: Mapping[str, OwnParam],
    max_rows: int | None,
    limits: QueryLimits,
) -> pa.Table:
    """The rows that a query returns; each of `tables` is a view of its name.

    Args:
        own_params: the parameters that have no column of their type in the files, by their columns; the
            views of `starts` and `trials` add these columns.
        max_rows: the most rows that are fetched; None for all.

    Raises:
        QueryError: the query was refused, failed or took too long; the message has DuckDB's own and the
            names of the views.
    """
    connection = duckdb.connect(
        ":memory:",
        config={**_CONFIG, "memory_limit": f"{limits.memory_mib}MiB", "threads": str(_threads(limits))},
    )
    with connection:
        columns = _make_views(connection, tables, own_params)
        for statement in _LOCKDOWN:
            connection.execute(statement)
        with _as_query_error(columns, limits):
            _check_statement(connection, sql)
            with _time_limit(connection, limits.seconds):
                return _fetch(connection, sql, max_rows)


def _threads(limits: QueryLimits) -> int:
    return max(1, min(limits.threads, os.cpu_count() or 1))


def _make_views(
    connection: duckdb.DuckDBPyConnection,
    tables: Mapping[str, pa.Table | ds.Dataset],
    own_params: Mapping[str, OwnParam],
) -> dict[str, list[str]]:
    """Register the tables; returns the columns of each view."""
    columns = {}
    for name, table in tables.items():
        columns[name] = list(table.schema.names)
        connection.register(f"{name}_in_files", table)
        typed = _own_typed(connection, name, own_params)
        columns[name] += typed
        values = "".join(f', {value} AS "{column}"' for column, value in typed.items())
        connection.execute(f'CREATE VIEW "{name}" AS SELECT *{values} FROM "{name}_in_files"')
    return columns


def _own_typed(
    connection: duckdb.DuckDBPyConnection, table: str, own_params: Mapping[str, OwnParam]
) -> dict[str, str]:
    """SQL for each column that a view adds to its table, by the name of the column."""
    typed: dict[str, str] = {}
    of_params = own_columns(own_params)
    if table in TABLES_WITH_PARAMS:
        typed |= {of_params[column]: _param_value(own) for column, own in own_params.items()}
    if table in TABLES_WITH_METRICS:
        kinds = _metric_kinds(connection, table)
        called = metric_columns(kinds, taken_too=of_params.values())
        typed |= {called[metric]: _json_value(METRICS, metric, kind) for metric, kind in kinds.items()}
    return typed


def _metric_kinds(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """The type of each metric of own training that a table's rows hold."""
    rows = connection.execute(
        f'SELECT metric.key, list(DISTINCT metric.type) FROM "{table}_in_files" AS found,'
        f" json_each(found.{METRICS}) AS metric WHERE found.{METRICS} <> '{{}}'"
        " GROUP BY metric.key ORDER BY metric.key"
    ).fetchall()
    return {name: kind_of_values(_PYTHON_OF_JSON[kind] for kind in kinds) for name, kinds in rows}


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


def _param_value(own: OwnParam) -> str:
    """SQL for the values of a parameter that has no column of its type in the files."""
    value = _json_value("params", own.name, own.kind)
    if own.name not in PARAM_COLUMNS:
        return value
    kinds = _JSON_OF_KIND.get(own.kind, ("ARRAY",))
    path = f"""'$."{own.name}"'"""
    others = f'"{PARAM_PREFIX}{own.name}" IS NULL AND json_type(params, {path}) IN {_sql_list(kinds)}'
    return f"CASE WHEN {others} THEN {value} END"


def _sql_list(texts: Iterable[str]) -> str:
    return f"({', '.join(repr(text) for text in texts)})"


def _json_value(text: str, name: str, kind: str) -> str:
    """SQL for a value in a JSON column `text`; names have no quotes, so nothing needs escaping."""
    scalar = _DUCKDB_SCALARS[kind.removeprefix("list<").removesuffix(">")]
    path = f"""'$."{name}"'"""
    if kind == "string":
        return f"{text} ->> {path}"
    return f"TRY_CAST({text} -> {path} AS {scalar}{'[]' if kind.startswith('list<') else ''})"


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


@contextmanager
def _as_query_error(columns: Mapping[str, list[str]], limits: QueryLimits) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException as error:
        raise QueryError(
            f"the query was ended after {limits.seconds:g} s, its limit; ask for fewer rows or columns"
        ) from error
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise QueryError(f"{_message(str(error))}\n{_hint(str(error), columns)}") from error


def _message(text: str) -> str:
    """DuckDB's message without its empty lines."""
    return "\n".join(line for line in text.strip().splitlines() if line.strip())


def _hint(text: str, columns: Mapping[str, list[str]]) -> str:
    hint = f"Views: {', '.join(sorted(columns))}; DESCRIBE trials lists the columns of the view trials"
    missing = re.search(r'column "([^"]+)" not found', text)
    if missing is None:
        return hint
    known = dict.fromkeys(name for names in columns.values() for name in names)
    nearest = sort_by_nearness(missing[1], known)
    alike_first = sorted(nearest, key=lambda name: not fold(name).startswith(f"{fold(missing[1])}_caps"))
    return f"{hint}. Columns with a similar name: {', '.join(alike_first[:MAX_NEAREST_COLUMNS])}"
