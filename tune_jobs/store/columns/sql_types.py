"""Types of SQL that Arrow data cannot carry unchanged, and the types used instead.

Measured with DuckDB 2.0: a UHUGEINT beyond 127 bits comes out negative, a TIMETZ loses its zone, BIT, BIGNUM,
VARIANT and GEOMETRY become bytes of DuckDB's own, and TYPE fails. Any type that is not in `CARRIED` is
fetched as text in DuckDB's own form, also inside lists, structs and maps. Called by `queries`.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType

CARRIED = frozenset(
    {
        "sqlnull", "null", "boolean", "tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint",
        "usmallint", "uinteger", "ubigint", "float", "double", "decimal", "varchar", "blob", "uuid", "enum",
        "date", "time", "time_ns", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "interval",
        "timestamp with time zone", "timestamptz_ns",
    }
)  # fmt: skip
OF_PARTS = ("list", "array", "struct", "tuple", "map", "union")
UNSIGNED = "uhugeint"
WHOLE_128 = pa.decimal256(39, 0)
"""A type that holds every UHUGEINT."""


def carried(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The relation with every column in a type that Arrow data carries."""
    wanted = [_carried_type(kind) for kind in relation.types]
    if not any(wanted):
        return relation
    columns = [f"column_{index}" for index in range(len(wanted))]
    asked = ", ".join(
        f"CAST({column} AS {kind}) AS {column}" if kind else column
        for column, kind in zip(columns, wanted, strict=True)
    )
    found = relation.query("answer", f"SELECT {asked} FROM answer AS answer({', '.join(columns)})")
    assert found is not None, "a SELECT returns rows"
    return found


def as_arrow(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    """The rows of a relation as Arrow data; a value of a type that Arrow cannot carry becomes text.

    A UHUGEINT stays an integer.
    """
    table = carried(relation).to_arrow_table().rename_columns(relation.columns)
    for index, kind in enumerate(relation.types):
        if kind.id == UNSIGNED:
            column = table.column(index).cast(WHOLE_128)
            table = table.set_column(index, table.field(index).with_type(WHOLE_128), column)
    return table


def without_end(sql: str) -> str:
    """The text of a statement before its semicolon; DuckDB can use only that as a part of another query."""
    text = sql.encode()
    ends = [
        start
        for start, kind in duckdb.tokenize(sql)
        if kind == duckdb.token_type.operator and text[start] == ord(";")
    ]
    return text[: ends[0]].decode() if ends else sql


def _carried_type(kind: DuckDBPyType) -> str | None:
    """The type that replaces a type in Arrow data; None if Arrow data carries the type itself."""
    name = kind.id
    if name not in OF_PARTS:
        return None if name in CARRIED else "VARCHAR"
    children = [(part, inner) for part, inner in kind.children if isinstance(inner, DuckDBPyType)]
    parts = [(part, _carried_type(inner), inner) for part, inner in children]
    if not any(wanted for _, wanted, _ in parts):
        return None
    inners = [wanted or str(inner) for _, wanted, inner in parts]
    if name == "list":
        return f"{inners[0]}[]"
    if name == "array":
        return f"{inners[0]}[{dict(kind.children)['size']}]"
    if name == "map":
        return f"MAP({', '.join(inners)})"
    if name == "tuple":
        return f"TUPLE({', '.join(inners)})"
    if name == "struct":
        named = (f"{_quoted(part)} {inner}" for (part, _, _), inner in zip(parts, inners, strict=True))
        return f"STRUCT({', '.join(named)})"
    return "VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
