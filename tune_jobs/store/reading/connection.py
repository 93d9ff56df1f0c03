"""A connection to DuckDB in memory, with limits, and its errors as errors of a query.

Called by `queries` and `own_metrics`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from eml_models.errors import sort_by_nearness
from tune_jobs.errors import QueryError
from tune_jobs.study.same_names import fold

MAX_NEAREST_COLUMNS = 6
MAX_THREADS = 4

_CONFIG: Mapping[str, str] = {
    "temp_directory": "",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """Limits of one query: memory in MiB, threads, and seconds."""

    memory_mib: int = 2048
    threads: int = MAX_THREADS
    seconds: float = 300.0


def connect(limits: QueryLimits) -> duckdb.DuckDBPyConnection:
    """A database in memory that writes nothing to disk."""
    threads = max(1, min(limits.threads, os.cpu_count() or 1))
    return duckdb.connect(
        ":memory:",
        config={**_CONFIG, "memory_limit": f"{limits.memory_mib}MiB", "threads": str(threads)},
    )


@contextmanager
def as_query_error(columns: Mapping[str, Sequence[str]], limits: QueryLimits) -> Iterator[None]:
    """Raise a `QueryError` for an error of DuckDB or of the data, with a hint at the columns of the views."""
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


def _hint(text: str, columns: Mapping[str, Sequence[str]]) -> str:
    hint = f"Views: {', '.join(sorted(columns))}; DESCRIBE trials lists the columns of the view trials"
    missing = re.search(r'column "([^"]+)" not found', text)
    if missing is None:
        return hint
    known = dict.fromkeys(name for names in columns.values() for name in names)
    nearest = sort_by_nearness(missing[1], known)
    alike_first = sorted(nearest, key=lambda name: not fold(name).startswith(f"{fold(missing[1])}_caps"))
    return f"{hint}. Columns with a similar name: {', '.join(alike_first[:MAX_NEAREST_COLUMNS])}"
