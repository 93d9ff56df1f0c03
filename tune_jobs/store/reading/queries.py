"""SQL over the store's tables with DuckDB, in memory and read-only whatever the SQL says.

The tables are handed to DuckDB as Arrow data; then it may touch no file, load no extension, look up no Python
variable, spill nothing to disk, and its settings are locked. One statement that returns rows is answered;
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
from tune_jobs.store.columns.schema import PARAM_COLUMNS, PARAM_PREFIX, TABLES_WITH_PARAMS
from tune_jobs.store.columns.sql_types import as_arrow, without_end
from tune_jobs.study.same_names import alike, fold, spelled

LISTS_COLUMNS = re.compile(r"select\s+\*|^\s*from\b|\b(?:describe|summarize|columns)\b", re.IGNORECASE)
MAX_NEAREST_COLUMNS = 6
MAX_THREADS = 4

_ROW_STATEMENTS = frozenset({"SELECT", "EXPLAIN", "MULTI"})
"""What returns rows and changes nothing: also DESCRIBE, SHOW and SUMMARIZE; MULTI is what PIVOT becomes."""

_DUCKDB_SCALARS = {"string": "VARCHAR", "double": "DOUBLE", "int64": "BIGINT", "bool": "BOOLEAN"}

_CONFIG: Mapping[str, str] = {
    "temp_directory": "",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
_LOCKDOWN = ("SET enable_external_access = false", "SET lock_configuration = true")
"""In this order, and after `_CONFIG`: the temporary folder would stay writable for SQL, a locked setting
cannot be set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """What one query may take."""

    memory_mib: int = 2048
    threads: int = MAX_THREADS
    seconds: float = 300.0


def run_query(
    sql: str,
    tables: Mapping[str, pa.Table | ds.Dataset],
    *,
    own_params: Mapping[str, str],
    max_rows: int | None,
    limits: QueryLimits,
) -> pa.Table:
    """The rows that a query returns over `tables`, each a view of its name.

    Args:
        own_params: parameters without a column, with their types; the views with params offer them as
            columns.

    Raises:
        QueryError: with DuckDB's message and the views that there are.
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
    own_params: Mapping[str, str],
) -> dict[str, list[str]]:
    """Register the tables; returns the columns of each view."""
    columns = {}
    for name, table in tables.items():
        columns[name] = list(table.schema.names)
        if name not in TABLES_WITH_PARAMS or not own_params:
            connection.register(name, table)
            continue
        called = own_columns(own_params)
        columns[name] += called.values()
        connection.register(f"{name}_in_files", table)
        typed = ", ".join(_param_column(param, kind, called[param]) for param, kind in own_params.items())
        connection.execute(f'CREATE VIEW "{name}" AS SELECT *, {typed} FROM "{name}_in_files"')
    return columns


def own_columns(own_params: Iterable[str]) -> dict[str, str]:
    """What the views call each parameter that has no column in the files: `param_` and its name.

    Of names that SQL takes for one, also for a shipped column's, each says where its capitals are. None has
    the plain name: a query that means one would be answered with another's values.
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


def alike_note(sql: str, own_params: Iterable[str]) -> str | None:
    """What to tell about a query that names, or lists, columns of parameters that SQL takes for one."""
    called = own_columns(own_params)
    told = [
        f"{' and '.join(group)} ({', '.join(called.get(name, PARAM_PREFIX + name) for name in group)})"
        for group in alike([*called, *PARAM_COLUMNS])
        if LISTS_COLUMNS.search(sql) or fold(PARAM_PREFIX + group[0]) in fold(sql)
    ]
    if not told:
        return None
    return f"parameters differ by the case of letters only, which SQL does not know: {'; '.join(told)}"


def _param_column(name: str, kind: str, column: str) -> str:
    """A parameter of JSON as a column; its name is an identifier, so it needs no escaping inside quotes."""
    scalar = _DUCKDB_SCALARS[kind.removeprefix("list<").removesuffix(">")]
    path = f"""'$."{name}"'"""
    if kind == "string":
        value = f"params ->> {path}"
    else:
        value = f"TRY_CAST(params -> {path} AS {scalar}{'[]' if kind.startswith('list<') else ''})"
    return f'{value} AS "{column}"'


def _check_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError(f"a query is one statement that returns rows, got {len(statements)} statements")
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
        raise QueryError(f"the query was ended after {limits.seconds:g} s; ask for less") from error
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise QueryError(f"{_message(str(error))}\n{_hint(str(error), columns)}") from error


def _message(text: str) -> str:
    """DuckDB's message up to the line that shows where."""
    return "\n".join(line for line in text.strip().splitlines() if line.strip())


def _hint(text: str, columns: Mapping[str, list[str]]) -> str:
    hint = f"Views: {', '.join(sorted(columns))}; DESCRIBE trials lists the columns of one"
    missing = re.search(r'column "([^"]+)" not found', text)
    if missing is None:
        return hint
    known = dict.fromkeys(name for names in columns.values() for name in names)
    nearest = sort_by_nearness(missing[1], known)
    alike_first = sorted(nearest, key=lambda name: not fold(name).startswith(f"{fold(missing[1])}_caps"))
    return f"{hint}. Columns like it: {', '.join(alike_first[:MAX_NEAREST_COLUMNS])}"
