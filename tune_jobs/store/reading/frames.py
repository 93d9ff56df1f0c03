"""Arrow tables as the pandas frames that `TrialStore` returns, with the parameters of users' own spaces.

The type of a frame's column follows from the store's schema, never from the values of the rows.
In the answer to a SQL query, a sum of integers (128 bits) or a decimal becomes int64 or float64 if that type
holds all its digits, else an object of Python's own type. A date or an instant outside Python's range becomes
text. Called by `reader`, `study_snapshot` and `answers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from tune_jobs.store.columns.params import OwnParam, as_type, parse_params
from tune_jobs.store.columns.python_values import as_python, beyond_python
from tune_jobs.store.columns.schema import PARAM_COLUMNS, PARAM_PREFIX, arrow_param_type
from tune_jobs.study.json_fields import INT64_MAX, INT64_MIN

_NULLABLE: Mapping[pa.DataType, Any] = {
    pa.int64(): pd.Int64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
"""The types of columns that pandas would turn into floats or objects if a value is missing."""


def as_frame(table: pa.Table, *, required: Sequence[str] | None = None) -> pd.DataFrame:
    """A table as a frame.

    Lists and structs become Python's lists and dictionaries, maps become lists of pairs.

    Args:
        required: the columns that are never null; None means the columns without a null in this table.
    """
    table = with_unique_names(table)
    if required is None:
        required = [name for name in table.column_names if table.column(name).null_count == 0]
    own = {name: table.column(name) for name in table.column_names if _needs_objects(table.column(name))}
    for name in own:
        table = table.set_column(table.column_names.index(name), name, pa.nulls(len(table)))
    frame: pd.DataFrame = table.to_pandas(types_mapper=_NULLABLE.get)
    for name, column in own.items():
        frame[name] = _as_series(column, frame.index)
    plain = {
        name: table.schema.field(name).type.to_pandas_dtype()
        for name in required
        if table.schema.field(name).type in _NULLABLE
    }
    return frame.astype(plain)


def with_own_params(table: pa.Table, own_params: Mapping[str, OwnParam]) -> pa.Table:
    """A table with a typed column added for each parameter that only its `params` column holds."""
    if "params" not in table.column_names or not own_params:
        return table
    params = [parse_params(text) for text in table.column("params").to_pylist()]
    for column, own in own_params.items():
        values = [_own_value(p, own) for p in params]
        table = table.append_column(PARAM_PREFIX + column, pa.array(values, type=arrow_param_type(own.kind)))
    return table


def _own_value(params: Mapping[str, Any], own: OwnParam) -> Any:
    value = params.get(own.name)
    in_file = own.name in PARAM_COLUMNS and _value_or_none(value, PARAM_COLUMNS[own.name]) is not None
    return None if in_file else _value_or_none(value, own.kind)


def _value_or_none(value: Any, kind: str) -> Any:
    try:
        return as_type(value, kind)
    except (TypeError, OverflowError):
        return None  # as TRY_CAST does in the SQL views


def with_unique_names(table: pa.Table) -> pa.Table:
    """The table with a number added to each column name that an earlier column has already.

    The number is in parentheses after a space, a form that DuckDB gives to no column by itself.
    """
    names: list[str] = []
    for name in table.column_names:
        unique, number = name, 1
        while unique in names:
            number += 1
            unique = f"{name} ({number})"
        names.append(unique)
    return table.rename_columns(names)


def _needs_objects(column: pa.ChunkedArray) -> bool:
    """Whether pandas has no type of its own for the values of a column."""
    kind = column.type
    return pa.types.is_nested(kind) or pa.types.is_decimal(kind) or beyond_python(column)


def _as_series(column: pa.ChunkedArray, index: pd.Index[Any]) -> pd.Series[Any]:
    """A column of Python's own values; decimals become integers or floats if these hold all digits."""
    values = as_python(column)
    kinds = {type(value) for value in values if value is not None}
    if pa.types.is_decimal(column.type):
        if column.type.scale == 0 and all(v is None or INT64_MIN <= v <= INT64_MAX for v in values):
            whole = pd.Series(values, index=index, dtype=pd.Int64Dtype())
            return whole if None in values else whole.astype("int64")
        if column.type.scale and not kinds - {float}:
            return pd.Series(values, index=index, dtype="float64")
    return pd.Series(values, index=index, dtype=object)
