"""Paths of a store that other programs misread, and the queries that read such a store correctly.

DuckDB takes every folder ``NAME=VALUE`` on the way to a file for a column (hive partitioning). If a table
has a column of that name, DuckDB shows the folder's value in all rows. DuckDB and polars take ``*``, ``?``
and ``[`` for a pattern, and DuckDB finds no file below a folder with a backslash. pandas and pyarrow take a
path as it is, and so does `reader`. Measured with DuckDB 2.0 and polars 2.1.

Called by each module that makes a store: `definitions`, `latencies` and `compact`.
"""

from __future__ import annotations

import glob

from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.layout import LATENCIES, STUDIES
from tune_jobs.store.notes import tell_note
from tune_jobs.study.rows import TrialRow

PATTERNS = "*?["
"""The characters that DuckDB and polars take for a pattern; no quoting helps except `glob.escape`."""
BACKSLASH = "\\"
"""No pattern of DuckDB matches this character."""


def holds_store(files: Files) -> bool:
    """Whether there is a store already. A bucket has no empty folders, so any table counts."""
    return any(map(files.exists, (STUDIES, TrialRow.table, LATENCIES)))


def warn_if_new(files: Files) -> None:
    """Warn about a path that other programs misread, unless it holds a store already."""
    note = path_note(files.describe("").rstrip("/"))
    if note is not None and not holds_store(files):
        tell_note(note)


def path_note(store: str) -> str | None:
    """A note on an absolute path or URL that other programs misread; None for any other path."""
    columns, signs = _hive_folders(store), [sign for sign in PATTERNS + BACKSLASH if sign in store]
    reasons = []
    if columns:
        reasons.append(
            f"DuckDB takes the folder {' and '.join(columns)} for a column, and shows its value in all rows"
        )
    if signs:
        programs = "DuckDB" if signs == [BACKSLASH] else "DuckDB and polars"
        reasons.append(f"{programs} cannot read {' '.join(signs)} in a path as it stands")
    if not reasons:
        return None
    ways = [f"In DuckDB write: {duckdb_source(store)}"]
    if set(signs) & set(PATTERNS):
        ways.append(f"In polars write: {polars_call(store)}")
    return (
        f"other programs misread the store at {store!r}: {'; '.join(reasons)}. {'. '.join(ways)}. pandas,"
        " pyarrow, `query` and TrialStore read every path as it is"
    )


def duckdb_source(store: str, table: str = TrialRow.table) -> str:
    """The FROM clause that reads a table in DuckDB, whatever the store's path."""
    if BACKSLASH in store:
        return f"duckdb.from_arrow(pyarrow.dataset.dataset({f'{store}/{table}'!r}))"
    pattern = f"{glob.escape(store)}/{table}/*/*.parquet".replace("'", "''")
    return f"from read_parquet('{pattern}', hive_partitioning = false)"


def polars_call(store: str, table: str = TrialRow.table) -> str:
    """The call that reads a table in polars, whatever the store's path."""
    return f"polars.scan_parquet({f'{store}/{table}'!r}, glob=False)"


def _hive_folders(store: str) -> list[str]:
    """The folders ``NAME=VALUE`` of a path whose name is a column of some table; SQL ignores case."""
    columns = {name.lower() for schema in SCHEMAS.values() for name in schema.names}
    named = (folder for folder in store.split("/") if folder.count("=") == 1)
    return [folder for folder in named if folder.split("=")[0].lower() in columns]
