"""What SQL answers as a frame: numbers of lists, structs and maps stay what they were."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest

from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.store.reading.frames import as_frame


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("[1, null]", [1, None]),
        ("[1.5, 2, null]", [1.5, 2.0, None]),
        ("[[7], []]", [[7], []]),
        ("{'loss': [1, null], 'of': {'n': 3}}", {"loss": [1, None], "of": {"n": 3}}),
        ("map{'a': 1, 'b': null}", [("a", 1), ("b", None)]),
        ("[9007199254740993]", [9007199254740993]),
        ("null::int[]", None),
    ],
)
def test_numbers_in_lists_stay_what_they_were(sql: str, value: Any) -> None:
    frame = as_frame(duckdb.sql(f"select {sql} as found from range(2)").to_arrow_table())
    assert list(frame["found"]) == [value, value]
    table = Table(columns=("found",), rows=((value,),))
    assert json.loads(render(table, "json")) == [{"found": json.loads(json.dumps(value))}]
