"""The columns of the store's tables: a constant Arrow schema for each table.

A table's columns are the fields of its row (`tune_jobs.study.rows`, `latency_rows`; `StudyRow` here), in
their order, then in `starts` and `trials` one typed ``param_<name>`` column for each parameter that the
shipped spaces know. Every column may be null in Parquet, also a column that a row requires: readers check
each row, so a forbidden null makes a damaged row and not an unreadable file. Instants are UTC microseconds
without a zone: DuckDB needs pytz for instants with a zone, and Spark refuses nanoseconds.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import pyarrow as pa

from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.study.rows import ROW_TYPES, Row

SCHEMA_VERSION = 2
"""Raised with each change of columns. Every file and journal states it; any other version is refused."""

PARAM_PREFIX = "param_"

PARAM_COLUMNS: Mapping[str, str] = types.MappingProxyType(
    {
        "optimizer": "string",
        "learning_rate": "double",
        "momentum": "double",
        "weight_decay": "double",
        "schedule": "string",
        "warmup_fraction": "double",
        "batch_size": "int64",
        "label_smoothing": "double",
        "augmentation": "string",
        "model": "string",
        "width": "int64",
        "width_mult": "double",
        "expansion": "double",
        "widths": "list<double>",
        "expansions": "list<double>",
        "depths": "list<int64>",
        "dropout": "double",
        "activation": "string",
        "max_grad_norm": "double",
        "epochs": "int64",
        "macs_share": "double",
        **{f"width_{stage}": "double" for stage in range(1, 8)},
        **{f"expansion_{stage}": "double" for stage in range(1, 8)},
        **{f"depth_{stage}": "int64" for stage in range(1, 8)},
        "repeat": "int64",
        "candidate": "string",
        "divisor": "int64",
        "head_channels": "int64",
        "se_ratio": "double",
        "ema_decay": "double",
        "cutout": "double",
    }
)
"""The parameters that have a column in every store; any other is only in `params` (JSON), and so is a value
of own training that has another type (`tune_jobs.store.columns.params`)."""

TABLES_WITH_PARAMS = ("starts", "trials")

_SCALARS: dict[str, pa.DataType] = {
    "string": pa.string(),
    "double": pa.float64(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
}
_ARROW_OF_PYTHON: dict[type, pa.DataType] = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """The definition of a study in the store.

    `definition` is JSON of `Study.definition()`, `params` JSON of each parameter's type in this store,
    `versions` JSON of the software that created the study.
    """

    table: ClassVar[str] = "studies"

    study: str
    definition: str
    fingerprint: str
    params: str
    description: str
    created_at: datetime
    versions: str


StoredRow = Row | StudyRow | LatencyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A field of a row: its Python type, and whether it may be None."""

    name: str
    type: type
    optional: bool

    @property
    def arrow_type(self) -> pa.DataType:
        return pa.string() if issubclass(self.type, StrEnum) else _ARROW_OF_PYTHON[self.type]


def columns_of(table: str) -> tuple[Column, ...]:
    """The fields of a table's row, in order."""
    return _COLUMNS[table]


def arrow_param_type(name: str) -> pa.DataType:
    """The Arrow type of a parameter's type name (``double``, ``list<int64>``, ...)."""
    if name.startswith("list<"):
        return pa.list_(pa.field("element", _SCALARS[name[len("list<") : -1]]))
    return _SCALARS[name]


def _columns(row_type: type[StoredRow]) -> tuple[Column, ...]:
    hints = typing.get_type_hints(row_type)
    return tuple(_column(f.name, hints[f.name]) for f in fields(row_type))


def _column(name: str, hint: Any) -> Column:
    if isinstance(hint, types.UnionType):
        (inner,) = (arg for arg in typing.get_args(hint) if arg is not types.NoneType)
        return Column(name=name, type=inner, optional=True)
    return Column(name=name, type=hint, optional=False)


def _schema_of(row_type: type[StoredRow]) -> pa.Schema:
    columns = [(column.name, column.arrow_type) for column in columns_of(row_type.table)]
    if row_type.table in TABLES_WITH_PARAMS:
        columns += [(PARAM_PREFIX + name, arrow_param_type(kind)) for name, kind in PARAM_COLUMNS.items()]
    return pa.schema(columns)


ROW_TYPE_OF: dict[str, type[Row]] = {row_type.table: row_type for row_type in ROW_TYPES}
_STORED_TYPES: tuple[type[StoredRow], ...] = (*ROW_TYPES, StudyRow, LatencyRow)
ROW_TYPES_OF_FILES: dict[str, type[StoredRow]] = {row_type.table: row_type for row_type in _STORED_TYPES}
"""The row type of each table of published files; `ROW_TYPE_OF` has only the four tables of a study."""
_COLUMNS: dict[str, tuple[Column, ...]] = {t.table: _columns(t) for t in _STORED_TYPES}
SCHEMAS: dict[str, pa.Schema] = {t.table: _schema_of(t) for t in _STORED_TYPES}
"""The schema of each table, the same in every file of every store."""
