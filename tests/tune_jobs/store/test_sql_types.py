"""Every type of SQL is answered with its own values, in frames and in each format.

DuckDB itself is the judge: what it is told back is what it had.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from store_testing import open_writer, whole_trial

from tune_jobs.report.formats import FORMATS
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.store.reader import TrialStore

ALL = duckdb.sql("from test_all_types()")
"""A column of every type with its least value, its greatest value and a null."""

TYPES = {name: str(kind) for name, kind in zip(ALL.columns, ALL.types, strict=True)}
NESTED = {
    n for n, t in zip(ALL.columns, ALL.types, strict=True) if t.id in ("list", "struct", "array", "tuple")
}
OF_INSTANTS = {"double_array", "date_array", "timestamp_array", "timestamptz_array", "tuple"}
"""Nested, and written in JSON in another way than DuckDB does; their values are written out below."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrialStore:
    path: Path = tmp_path_factory.mktemp("store")
    with open_writer(path) as writer:
        writer.append_many(whole_trial(0))
    return TrialStore(path)


def forms_of(columns: Iterable[str], rows: tuple[tuple[object, ...], ...]) -> list[str]:
    table = Table(columns=tuple(columns), rows=rows)
    return [render(table, form) for form in FORMATS]


def forms_of_frame(frame: pd.DataFrame) -> list[str]:
    """What a frame looks like in every form."""
    return forms_of(map(str, frame.columns), tuple(frame.astype(object).itertuples(index=False, name=None)))


@pytest.mark.parametrize(
    "sql",
    [
        *(f'select "{name}" as v from test_all_types()' for name in ALL.columns),
        "select unnest([1.5::decimal(9, 2), 0.1::decimal(9, 2), null]) as v",
        "select sum(n) as whole, avg(n) as mean, 'nan'::double as odd from (select unnest([1, 2]) as n)",
        "select 1 as width, 2 as width, 3 as width_1",
        "select 1 as v where false",
        *(f"from {view}" for view in ("trials", "reports", "starts", "events", "studies", "latencies")),
    ],
)
def test_answer_in_tuples_prints_as_the_frame_does(store: TrialStore, sql: str) -> None:
    answer = store.answer(sql)
    assert forms_of(answer.columns, answer.rows) == forms_of_frame(store.sql(sql))


def rendered(frame: pd.DataFrame) -> tuple[list[Any], list[str], str]:
    """The first column as JSON and as CSV have it, and the whole table for people."""
    rows = tuple(frame.astype(object).itertuples(index=False, name=None))
    table = Table(columns=("v",), rows=rows)
    cells = list(csv.reader(io.StringIO(render(table, "csv"), newline="")))[1:]
    return (
        [row["v"] for row in json.loads(render(table, "json"))],
        [cell for (cell,) in cells],
        render(table, "table"),
    )


@pytest.mark.parametrize("name", [n for n in ALL.columns if n not in NESTED and n != "map"])
def test_a_value_of_every_type_is_read_back_by_sql_as_it_was(store: TrialStore, name: str) -> None:
    frame = store.sql(f'select "{name}" as v from test_all_types()')
    as_json, as_csv, table = rendered(frame)
    assert as_json[2] is None
    assert as_csv[2] == ""
    assert "-" in table
    kind = "VARCHAR" if name == "union" else TYPES[name]
    for row in (0, 1):
        for text in (str(as_json[row]), as_csv[row]):
            if name == "blob" or name.endswith("tz_ns"):
                text = text.replace("T", " ")
            had = f'CAST("{name}" AS {kind}) from test_all_types() limit 1 offset {row}'
            same = duckdb.execute(f"select CAST(? AS {kind}) = {had}", [text]).fetchall()
            assert same == [(True,)], (text, kind)


@pytest.mark.parametrize("name", sorted(NESTED - OF_INSTANTS))
def test_nested_values_are_those_of_duckdbs_own_json(store: TrialStore, name: str) -> None:
    frame = store.sql(f'select "{name}" as v from test_all_types()')
    as_json, as_csv, _ = rendered(frame)
    truth = duckdb.execute(f'select to_json("{name}") from test_all_types()').fetchall()
    expected = [None if text is None else json.loads(text) for (text,) in truth]
    assert as_json == expected
    assert [json.loads(cell) if cell else None for cell in as_csv] == expected


BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("sql", "dtype"),
    [
        ("tinyint", "Int8"),
        ("smallint", "Int16"),
        ("integer", "Int32"),
        ("bigint", "Int64"),
        ("utinyint", "UInt8"),
        ("usmallint", "UInt16"),
        ("uinteger", "UInt32"),
        ("ubigint", "UInt64"),
        ("boolean", "boolean"),
    ],
)
def test_whole_numbers_beside_a_null_stay_whole(store: TrialStore, sql: str, dtype: str) -> None:
    frame = store.sql(f"select unnest([1::{sql}, null]) as v")
    assert str(frame["v"].dtype) == dtype
    assert rendered(frame)[0] == [True if sql == "boolean" else 1, None]
    whole = store.sql(f"select unnest([1::{sql}, 0::{sql}]) as v")["v"].dtype
    assert str(whole) == dtype.lower().removesuffix("ean")


@pytest.mark.parametrize(
    ("sql", "value", "as_json"),
    [
        (f"{BIG}::ubigint", BIG, BIG),
        (f"{BIG}::hugeint", BIG, BIG),
        ("18446744073709551615::ubigint", 2**64 - 1, 2**64 - 1),
        ("(2::hugeint ** 0)::hugeint + 9223372036854775807", 2**63, 2**63),
        ("340282366920938463463374607431768211455::uhugeint", 2**128 - 1, 2**128 - 1),
        ("[340282366920938463463374607431768211455::uhugeint]", [str(2**128 - 1)], [str(2**128 - 1)]),
        ("0.1::decimal(2,1)", 0.1, 0.1),
        (
            "12345678901234567890.5::decimal(38,1)",
            Decimal("12345678901234567890.5"),
            "12345678901234567890.5",
        ),
        ("'infinity'::date", "infinity", "infinity"),
        ("'-infinity'::timestamp", "-infinity", "-infinity"),
        ("'infinity'::timestamptz", "infinity", "infinity"),
        ("'infinity'::timestamp_ns", "infinity", "infinity"),
        ("'infinity'::timestamp_s", "infinity", "infinity"),
        ("date '12345-06-25'", "12345-06-25", "12345-06-25"),
        ("'44-03-15 (BC) 10:00:00.5'::timestamp", "0044-03-15 (BC) 10:00:00.5", "0044-03-15 (BC) 10:00:00.5"),
        ("date '2024-02-29'", date(2024, 2, 29), "2024-02-29"),
        ("time '24:00:00'", "24:00:00", "24:00:00"),
        ("time '12:00:00.5'", time(12, 0, 0, 500_000), "12:00:00.500000"),
        ("'12:00:00.000000001'::time_ns", "12:00:00.000000001", "12:00:00.000000001"),
        ("'12:34:56+05:30'::timetz", "12:34:56+05:30", "12:34:56+05:30"),
        ("timestamp '2024-02-29 12:00:00'", datetime(2024, 2, 29, 12), "2024-02-29T12:00:00"),
        ("[timestamp '2024-02-29 12:00:00', 'infinity']", [datetime(2024, 2, 29, 12), "infinity"], None),
        ("union_value(n := 1)", 1, 1),
        ("union_value(b := '101'::bit)", "101", "101"),
        ("struct_pack(u := union_value(s := 'x'))", {"u": "x"}, {"u": "x"}),
        ("[union_value(n := 1), null]", [1, None], [1, None]),
        ("map{'k': 'infinity'::date}", [("k", "infinity")], [["k", "infinity"]]),
        ("map{'k': '1'::bit}", [("k", "1")], [["k", "1"]]),
        ("{'b': '01'::bit, 'n': 1}", {"b": "01", "n": 1}, {"b": "01", "n": 1}),
        ("row('01'::bit, 1)", {"element1": "01", "element2": 1}, {"element1": "01", "element2": 1}),
        ("['1'::bit]::bit[1]", ["1"], ["1"]),
        ("1::variant", "1", "1"),
        ("get_type(1)", "INTEGER", "INTEGER"),
        ("[interval '1 day 2 minutes']", None, ["1 day 00:02:00"]),
        (r"'\xAA\x22a'::blob", b'\xaa"a', r"\xAA\x22a"),
        ("'a'::enum('a', 'b')", "a", "a"),
        ("'eeccb8c5-9943-b2bb-bb5e-222f4e14b687'::uuid", "eeccb8c5-9943-b2bb-bb5e-222f4e14b687", None),
        ("null", None, None),
        ("[]", [], []),
        ("'{\"a\": 1}'::json", '{"a": 1}', '{"a": 1}'),
    ],
)
@pytest.mark.parametrize("end", ["", ";", " ; -- an end"])
def test_odd_values_are_right_beside_a_null(
    store: TrialStore, sql: str, value: Any, as_json: Any, end: str
) -> None:
    frame = store.sql(f"select unnest([{sql}, null]) as v{end}")
    if value is not None:
        assert frame["v"][0] == value
    assert frame["v"].isna()[1] or frame["v"][1] is None
    found, cells, _ = rendered(frame)
    if as_json is not None:
        assert found == [as_json, None]
        assert cells[0] == (json.dumps(as_json) if isinstance(as_json, list | dict) else str(as_json))


def test_columns_of_one_name_take_no_name_of_another(store: TrialStore) -> None:
    """``width_1`` is a parameter's own name: a second ``width`` must not look like it."""
    frame = store.sql("select 1 as width, 2 as width, 3 as width_1")
    assert dict(zip(frame.columns, frame.iloc[0], strict=True)) == {"width": 1, "width (2)": 2, "width_1": 3}
    assert list(store.sql("select '1'::bit as a, '0'::bit as a, 1 as \"a (2)\"").columns) == [
        "a",
        "a (2)",
        "a (2) (2)",
    ]
