"""Arrow tables as the pandas frames that `TrialStore` returns, with the parameters of users' own spaces.

The type of a frame's column follows from the store's schema, never from the values that happen to be there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from tune_jobs.store.params import as_type, parse_params
from tune_jobs.store.schema import PARAM_PREFIX, arrow_param_type

_NULLABLE: Mapping[pa.DataType, Any] = {
    pa.int64(): pd.Int64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
"""Where pandas' own types would turn a missing value's whole column into floats or objects."""


def as_frame(table: pa.Table, *, required: Sequence[str] | None = None) -> pd.DataFrame:
    """A table as a frame.

    Lists and structs are Python's own, maps are lists of pairs.

    Args:
        required: the columns that are never null; None for those that have no null.
    """
    table = _without_decimals(_with_unique_names(table))
    if required is None:
        required = [name for name in table.column_names if table.column(name).null_count == 0]
    frame: pd.DataFrame = table.to_pandas(types_mapper=_NULLABLE.get)
    for field in table.schema:
        if pa.types.is_nested(field.type):  # pandas would make the numbers of a list with a null floats
            values = [_as_plain(value) for value in table.column(field.name).to_pylist()]
            frame[field.name] = pd.Series(values, index=frame.index, dtype=object)
    plain = {
        name: table.schema.field(name).type.to_pandas_dtype()
        for name in required
        if table.schema.field(name).type in _NULLABLE
    }
    return frame.astype(plain)


def with_own_params(table: pa.Table, own_params: Mapping[str, str]) -> pa.Table:
    """A table with a typed column for each parameter that stands in its `params` alone."""
    if "params" not in table.column_names or not own_params:
        return table
    params = [parse_params(text) for text in table.column("params").to_pylist()]
    for name, kind in own_params.items():
        values = [_value_or_none(p.get(name), kind) for p in params]
        table = table.append_column(PARAM_PREFIX + name, pa.array(values, type=arrow_param_type(kind)))
    return table


def _value_or_none(value: Any, kind: str) -> Any:
    try:
        return as_type(value, kind)
    except (TypeError, OverflowError):
        return None  # as TRY_CAST does in the SQL views


def _with_unique_names(table: pa.Table) -> pa.Table:
    names: list[str] = []
    for name in table.column_names:
        unique, number = name, 0
        while unique in names:
            number += 1
            unique = f"{name}_{number}"
        names.append(unique)
    return table.rename_columns(names)


def _without_decimals(table: pa.Table) -> pa.Table:
    """DuckDB's sums of whole numbers are 128 bits wide; they become int64 if they fit, else double."""
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(index, field.name, _cast_decimal(table.column(index)))
    return table


def _as_plain(value: Any) -> Any:
    """Lists, structs and maps with their decimals as `_cast_decimal` has them."""
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, dict):
        return {name: _as_plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_as_plain(part) for part in value)
    return value


def _cast_decimal(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type.scale == 0:
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            pass  # beyond 64 bits: the nearest double
    return column.cast(pa.float64())
