"""Values of rows and of SQL as JSON and CSV know them."""

from __future__ import annotations

import json
import math
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
import pytest

from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.store.reading.frames import as_frame


def test_lists_of_one_stay_lists_and_parts_of_values_are_plain() -> None:
    at, nothing = datetime(2026, 1, 2), math.nan
    table = Table(
        columns=("one", "none", "parts"),
        rows=((np.array([5]), np.array([]), {"at": at, "loss": nothing, "l": np.array([np.array([1, 2])])}),),
    )
    parts = {"at": "2026-01-02T00:00:00", "loss": None, "l": [[1, 2]]}
    assert json.loads(render(table, "json")) == [{"one": [5], "none": [], "parts": parts}]
    assert "[5]" in render(table, "table")


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ("interval '130.221243 seconds'", "00:02:10.221243"),
        ("interval '-90 minutes'", "-01:30:00"),
        ("interval '1 day 100 hours'", "1 day 100:00:00"),
        ("interval '2 months'", "2 months"),
        ("interval '0 days'", "00:00:00"),
    ],
)
def test_spans_of_time_are_texts_that_sql_reads_again(span: str, text: str) -> None:
    def found(sql: str) -> pd.DataFrame:
        return as_frame(duckdb.sql(sql).to_arrow_table())

    (value,) = found(f"select {span} as span")["span"]
    table = Table(columns=("span",), rows=((value,),))
    assert json.loads(render(table, "json")) == [{"span": text}]
    assert found(f"select {span} = interval '{text}' as same")["same"].tolist() == [True]
