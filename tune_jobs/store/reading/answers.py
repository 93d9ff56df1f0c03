"""The answer to a SQL query as tuples of Python's own values, for callers that only print it.

The values equal those of a frame of the same rows; a missing value is None. Called by `reader`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from tune_jobs.store.columns.python_values import as_python
from tune_jobs.store.reading.frames import with_unique_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Named columns and rows; where SQL gives several columns one name, later ones end in a number."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


def as_answer(table: pa.Table) -> Answer:
    """The rows of a table."""
    table = with_unique_names(table)
    columns = [as_python(column) for column in table.columns]
    return Answer(columns=tuple(table.column_names), rows=tuple(zip(*columns, strict=True)))
