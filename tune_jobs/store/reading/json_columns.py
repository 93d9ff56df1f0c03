"""SQL for typed columns of values in JSON texts, which reads each text once for all of its columns.

A text that is read by ``->`` is parsed again for each column: 300 columns of 20,000 rows then need more than
2 GiB. So an inner query turns each text into a struct, and the columns are its fields. DuckDB leaves out the
struct where a query uses none of them. Called by `queries` and `frames`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tune_jobs.study.same_names import fold

_DUCKDB_SCALARS = {"string": "VARCHAR", "double": "DOUBLE", "int64": "BIGINT", "bool": "BOOLEAN"}
_DUCKDB_JSON = "JSON"

_JSON_OF_KIND = {
    "string": ("VARCHAR", "ARRAY", "OBJECT"),
    "double": ("DOUBLE", "BIGINT", "UBIGINT", "HUGEINT"),
    "int64": ("BIGINT", "UBIGINT"),
    "bool": ("BOOLEAN",),
}
"""DuckDB's types of JSON values by the type of a column; a list has the type ARRAY."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonColumn:
    """A column of the values of one key of the objects in a JSON text.

    Attributes:
        column: its name.
        text: the column of the texts.
        key: the key in each object.
        kind: its type: ``double``, ``string``, ``int64``, ``bool``, or a list of these (``list<double>``).
        is_mixed: whether the values of the key have other types too; only those of `kind` are taken then.
        unless: another column; where it has a value, this column has none.
    """

    column: str
    text: str
    key: str
    kind: str
    is_mixed: bool = False
    unless: str | None = None


def select_with(names: Sequence[str], typed: Sequence[JsonColumn], *, source: str) -> str:
    """A SELECT of the columns `names` of a table `source`, and of the typed columns behind them."""
    structs = _structs(typed)
    inner = "".join(
        f", json_transform({quoted(text)}, {_literal(json.dumps(fields, ensure_ascii=False))}) AS {struct}"
        for struct, (text, fields) in structs.items()
    )
    values = [f"{_value(one, structs)} AS {quoted(one.column)}" for one in typed]
    columns = ", ".join([*map(quoted, names), *values])
    return f"SELECT {columns} FROM (SELECT *{inner} FROM {quoted(source)})"


def quoted(name: str) -> str:
    """A name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def _structs(typed: Iterable[JsonColumn]) -> dict[str, tuple[str, dict[str, object]]]:
    """The structs: of each, by its name, the column of the texts and the type of each field.

    SQL ignores the case of letters, so keys that differ only by case are in different structs of a text.
    """
    keys: dict[str, dict[str, list[JsonColumn]]] = defaultdict(lambda: defaultdict(list))
    for one in typed:
        keys[one.text][one.key].append(one)
    structs: dict[str, tuple[str, dict[str, object]]] = {}
    for text, columns in keys.items():
        num_alike: dict[str, int] = defaultdict(int)
        for key, of_key in columns.items():
            number = num_alike[fold(key)]
            num_alike[fold(key)] += 1
            whole = len(of_key) == 1 and not of_key[0].is_mixed
            _, fields = structs.setdefault(_struct(text, number), (text, {}))
            fields[key] = _type(of_key[0].kind) if whole else _DUCKDB_JSON
    return structs


def _struct(text: str, number: int) -> str:
    """A name with a blank in it, which no column of a table has."""
    return quoted(f"{text} {number}")


def _type(kind: str) -> object:
    if kind.startswith("list<"):
        return [_type(kind[len("list<") : -1])]
    return _DUCKDB_SCALARS[kind]


def _value(one: JsonColumn, structs: Mapping[str, tuple[str, dict[str, object]]]) -> str:
    struct = next(s for s, (text, fields) in structs.items() if text == one.text and one.key in fields)
    field = f"struct_extract({struct}, {_literal(one.key)})"
    if structs[struct][1][one.key] != _DUCKDB_JSON:
        return field
    types = _JSON_OF_KIND.get(one.kind, ("ARRAY",))
    rule = f"json_type({field}) IN ({', '.join(map(_literal, types))})"
    if one.unless is not None:
        rule = f"{quoted(one.unless)} IS NULL AND {rule}"
    return f"CASE WHEN {rule} THEN {_cast(field, one.kind)} END"


def _cast(field: str, kind: str) -> str:
    if kind == "string":
        return f"{field} ->> '$'"
    scalar = _DUCKDB_SCALARS[kind.removeprefix("list<").removesuffix(">")]
    return f"TRY_CAST({field} AS {scalar}{'[]' if kind.startswith('list<') else ''})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
