"""Rows to plain data (the journal), to Arrow (Parquet) and back: the one edge of the store.

`as_plain` checks a row before it is acknowledged, so that every acknowledged row can be published. What it
changes: an instant is brought to UTC, a whole number in a float field becomes a float, and characters that no
encoding has (lone surrogates, from odd file names in tracebacks) become ``?``. Round trips are held by
property tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import pyarrow as pa

from eml_models.errors import InvalidValueError, raise_if_any
from tune_jobs.store.params import INT64_MAX, INT64_MIN, typed_params
from tune_jobs.store.schema import (
    PARAM_PREFIX,
    ROW_TYPE_OF,
    SCHEMAS,
    TABLES_WITH_PARAMS,
    Column,
    StoredRow,
    columns_of,
)
from tune_jobs.trial import Row

R = TypeVar("R", bound=StoredRow)


def as_plain(row: StoredRow) -> dict[str, Any]:
    """A row's fields as Python's own values, checked.

    Raises:
        InvalidValueError: with all fields that their columns cannot hold.
    """
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
    if row.table in TABLES_WITH_PARAMS and not problems:
        try:
            typed_params(plain["params"])
        except InvalidValueError as error:
            problems.append(str(error))
    raise_if_any(f"row of {row.table}", problems)
    return plain


def as_json_data(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Checked fields as JSON holds them: instants as ISO text, nulls left out."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in plain.items()
        if value is not None
    }


def row_from_json_data(table: str, data: Mapping[str, Any]) -> Row:
    """The row of a journal's JSON.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    row_type = ROW_TYPE_OF[table]
    values: dict[str, Any] = {}
    for column in columns_of(row_type.table):
        value = data.get(column.name)
        if value is not None and column.type is datetime:
            value = datetime.fromisoformat(value)
        values[column.name] = _as_enum(column, value)
    return row_type(**values)


def rows_to_arrow(table: str, rows: Sequence[StoredRow]) -> pa.Table:
    """Rows of one table as Arrow, with their `param_` columns."""
    schema = SCHEMAS[table]
    plain = [as_plain(row) for row in rows]
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


def with_typed_params(table: str, rows: pa.Table) -> pa.Table:
    """Rows with their `param_` columns made from `params` anew: a file of an older version lacks some."""
    if table not in TABLES_WITH_PARAMS:
        return rows
    params = [typed_params(text) for text in rows.column("params").to_pylist()]
    for index, field in enumerate(rows.schema):
        if field.name.startswith(PARAM_PREFIX):
            values = [p.get(field.name.removeprefix(PARAM_PREFIX)) for p in params]
            rows = rows.set_column(index, field, pa.array(values, type=field.type))
    return rows


def rows_from_arrow(row_type: type[R], table: pa.Table) -> list[R]:
    """The rows of an Arrow table; columns that are no field of the row are left out."""
    columns = columns_of(row_type.table)
    lists = [_python_values(column, table.column(column.name)) for column in columns]
    names = [column.name for column in columns]
    return [row_type(**dict(zip(names, values, strict=True))) for values in zip(*lists, strict=True)]


def _python_values(column: Column, array: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = array.to_pylist()
    if column.type is datetime:
        return [None if v is None else v.replace(tzinfo=UTC) for v in values]
    if issubclass(column.type, StrEnum):
        return [_as_enum(column, v) for v in values]
    return values


def _as_enum(column: Column, value: Any) -> Any:
    return column.type(value) if value is not None and issubclass(column.type, StrEnum) else value


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
        raise TypeError(f"must be an aware instant, got {value!r}")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


_CHECKS: dict[type, Callable[[Any], Any]] = {
    str: _as_text,
    int: _as_int,
    float: _as_float,
    bool: _as_bool,
    datetime: _as_instant,
}
