"""Rows to plain data (the journal), to Arrow (Parquet) and back: the only conversions of the store.

`as_plain` checks a row before it is acknowledged, so that every acknowledged row can be published. It changes
three things: an instant is converted to UTC, an integer in a float field becomes a float, and characters
without an encoding (lone surrogates, from odd file names in tracebacks) become ``?``.

Data from a journal or a file may be damaged, or written by another program. So each column and each JSON text
of a row is checked again by the same rules (`_problems_of`), and a row that breaks a rule is a damaged row.
Property tests check the round trips. Called by `writer`, `journal`, `publishing`, `segments` and all readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import pyarrow as pa

from eml_models.errors import InvalidValueError, raise_if_any
from tune_jobs.store.columns.params import typed_params
from tune_jobs.store.columns.schema import (
    PARAM_PREFIX,
    ROW_TYPE_OF,
    SCHEMAS,
    TABLES_WITH_PARAMS,
    Column,
    StoredRow,
    columns_of,
)
from tune_jobs.study.json_fields import INT64_MAX, INT64_MIN, MAX_COUNT, MAX_SECONDS
from tune_jobs.study.row_json import json_problems
from tune_jobs.study.rows import ReportRow, Row, StartRow, TrialRow, trial_id

R = TypeVar("R", bound=StoredRow)

COUNTS = ("number", "attempt", "epoch", "epochs", "best_epoch")
SECONDS = ("duration_s", "epoch_s", "elapsed_s", "train_s", "wall_s", "device_s")
FIRST_INSTANT, LAST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""Any duration added to an instant between these bounds gives a year that Python and Arrow can hold."""


def _range_of(column: Column) -> tuple[Any, Any] | None:
    if column.type is datetime:
        return FIRST_INSTANT, LAST_INSTANT
    if column.name in COUNTS:
        return 0, MAX_COUNT
    return (-MAX_SECONDS, MAX_SECONDS) if column.name in SECONDS else None


_RANGES = {
    table: tuple((c.name, *bounds) for c in columns_of(table) if (bounds := _range_of(c)) is not None)
    for table in SCHEMAS
}
"""Inclusive bounds of a table's columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedRow:
    """A row that breaks a rule.

    Attributes:
        index: its place in the table, from 0.
        seq: its `seq`, None if that cannot be read; `number`, of its trial, likewise.
        reason: the broken rules, in words.
    """

    index: int
    seq: int | None
    number: int | None
    reason: str

    def describe(self, path: str) -> str:
        """The damage in words, with the file."""
        which = f"row {self.index + 1}" if self.seq is None else f"the row of seq {self.seq}"
        return f"{which} in {path!r} is damaged: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRows(Generic[R]):
    """The valid rows of an Arrow table, and the damaged ones."""

    rows: list[R]
    damaged: list[DamagedRow]


def as_plain(row: StoredRow) -> dict[str, Any]:
    """A row's fields as Python's own values, checked.

    Raises:
        InvalidValueError: some columns cannot hold their fields; the message names all of them.
    """
    plain = _typed(row)
    raise_if_any(f"row of {row.table}", _problems_of(row))
    return plain


def _typed(row: StoredRow) -> dict[str, Any]:
    """A row's fields as Python's own values of their columns' types."""
    plain: dict[str, Any] = {}
    problems: list[str] = []
    for column in columns_of(row.table):
        value = getattr(row, column.name)
        if value is None and column.optional:
            plain[column.name] = None
            continue
        try:
            plain[column.name] = _checked(column.type, value)
        except (TypeError, ValueError) as error:
            problems.append(f"{column.name} {error}")
    raise_if_any(f"row of {row.table}", problems)
    return plain


def as_json_data(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Checked fields as data for JSON: instants as ISO 8601 text, nulls left out."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in plain.items()
        if value is not None
    }


def row_from_json_data(table: str, data: Mapping[str, Any]) -> Row:
    """The row in a journal's JSON.

    Raises:
        ValueError, TypeError, KeyError: the data is not a valid row.
    """
    row_type = ROW_TYPE_OF[table]
    values: dict[str, Any] = {}
    for column in columns_of(row_type.table):
        value = data.get(column.name)
        if value is not None and column.type is datetime:
            value = datetime.fromisoformat(value)
        values[column.name] = value
    return _parsed(row_type, values)


def rows_to_arrow(table: str, rows: Sequence[StoredRow]) -> pa.Table:
    """Rows of one table as Arrow, with their `param_` columns."""
    schema = SCHEMAS[table]
    # a row of a study was checked when it was acknowledged or read, so only its types are checked here
    plain = [_typed(row) if isinstance(row, Row) else as_plain(row) for row in rows]
    params = [typed_params(p["params"]) for p in plain] if table in TABLES_WITH_PARAMS else []
    arrays = []
    for field in schema:
        if field.name.startswith(PARAM_PREFIX) and table in TABLES_WITH_PARAMS:
            values: Iterable[Any] = (p.get(field.name.removeprefix(PARAM_PREFIX)) for p in params)
        else:
            values = (p[field.name] for p in plain)
        if pa.types.is_timestamp(field.type):
            values = (None if v is None else v.replace(tzinfo=None) for v in values)
        arrays.append(pa.array(list(values), type=field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def parse_rows(row_type: type[R], table: pa.Table) -> ParsedRows[R]:
    """The rows of an Arrow table, each checked; columns that are not fields of the row are left out."""
    columns = columns_of(row_type.table)
    lists = [_python_values(table.column(column.name)) for column in columns]
    names = [column.name for column in columns]
    rows: list[R] = []
    damaged: list[DamagedRow] = []
    for index, found in enumerate(zip(*lists, strict=True)):
        values = dict(zip(names, found, strict=True))
        try:
            rows.append(_checked_row(row_type, values))
        except (TypeError, ValueError) as error:
            seq, number = (v if isinstance(v := values.get(n), int) else None for n in ("seq", "number"))
            damaged.append(DamagedRow(index=index, seq=seq, number=number, reason=str(error)))
    return ParsedRows(rows=rows, damaged=damaged)


def rows_from_arrow(row_type: type[R], table: pa.Table) -> list[R]:
    """The rows of an Arrow table; columns that are not fields of the row are left out.

    Raises:
        InvalidValueError: a row is damaged.
    """
    parsed = parse_rows(row_type, table)
    raise_if_any(f"rows of {row_type.table}", [damaged.reason for damaged in parsed.damaged])
    return parsed.rows


def _parsed(row_type: type[R], values: Mapping[str, Any]) -> R:
    """A row of values of any type."""
    checked: dict[str, Any] = {}
    for column in columns_of(row_type.table):
        value = values[column.name]
        try:
            checked[column.name] = None if value is None else _checked(column.type, value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{column.name} {error}") from error
    return _checked_row(row_type, checked)


def _checked_row(row_type: type[R], values: dict[str, Any]) -> R:
    """A row of values that have their columns' types or are None."""
    for column in columns_of(row_type.table):
        value = values[column.name]
        if value is None:
            if not column.optional:
                raise ValueError(f"{column.name} must have a value, got null")
        elif value is UNREADABLE_VALUE:
            raise ValueError(f"{column.name} cannot be read")
        elif issubclass(column.type, StrEnum):
            values[column.name] = column.type(value)
    row = row_type(**values)
    if isinstance(row, Row) and row.seq < 1:
        raise ValueError(f"seq must be at least 1, got {row.seq}")
    raise_if_any(f"row of {row_type.table}", _problems_of(row))
    return row


def _problems_of(row: StoredRow) -> list[str]:
    """Broken rules of a row whose fields have the right types: ranges, JSON texts, typed params."""
    problems = []
    for name, low, high in _RANGES[row.table]:
        value = getattr(row, name)
        if value is not None and not low <= value <= high:
            problems.append(f"{name} must be in [{low}, {high}], got {value}")
    if isinstance(row, Row):
        problems += json_problems(row)
    if isinstance(row, StartRow | ReportRow | TrialRow) and row.trial_id != trial_id(row.study, row.number):
        problems.append(f"trial_id must be {trial_id(row.study, row.number)!r}, got {row.trial_id!r}")
    if isinstance(row, StartRow | TrialRow) and not problems:
        try:
            typed_params(row.params)
        except InvalidValueError as error:
            problems.append(str(error))
    return problems


UNREADABLE_VALUE = object()
"""Stands for a value that Arrow cannot convert to Python: text that is not UTF-8, a year out of range."""


def _python_values(array: pa.ChunkedArray) -> list[Any]:
    values: list[Any]
    try:
        values = array.to_pylist()
    except (ValueError, OverflowError):
        values = [_python_value(value) for value in array]
    if pa.types.is_timestamp(array.type):
        return [v.replace(tzinfo=UTC) if isinstance(v, datetime) else v for v in values]
    return values


def _python_value(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return UNREADABLE_VALUE


def _checked(kind: type, value: Any) -> Any:
    check = _CHECKS.get(kind)
    return str(kind(value)) if check is None else check(value)


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be text, got {value!r}")
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _as_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"must be a whole number, got {value!r}")
    if not INT64_MIN <= value <= INT64_MAX:
        raise ValueError(f"must fit in 64 bits, got {value}")
    return int(value)


def _as_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"must be a number, got {value!r}")
    return float(value)


def _as_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"must be true or false, got {value!r}")
    return value


def _as_instant(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"must be an instant with a time zone, got {value!r}")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


_CHECKS: dict[type, Callable[[Any], Any]] = {
    str: _as_text,
    int: _as_int,
    float: _as_float,
    bool: _as_bool,
    datetime: _as_instant,
}
