"""A row survives the journal and Parquet unchanged; one that could not is refused before it is written."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_strategies import rows_of
from store_testing import NOON, event, report, start, trial

from eml_models.errors import InvalidValueError
from tune_jobs.store.columns.convert import as_plain, rows_from_arrow, rows_to_arrow
from tune_jobs.store.columns.schema import SCHEMAS, StudyRow
from tune_jobs.store.format.journal import decode_line, encode_line
from tune_jobs.store.format.publishing import parquet_bytes
from tune_jobs.study.rows import ROW_TYPES, Failure, Row, State

ANY_ROW = st.one_of([rows_of(row_type, row_type.table) for row_type in ROW_TYPES])


@given(rows=st.lists(ANY_ROW, min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_rows_survive_a_journal_line(rows: list[Row]) -> None:
    line = encode_line([(row.table, as_plain(row)) for row in rows])
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_line(line, "journal") == rows


@pytest.mark.parametrize("row_type", ROW_TYPES)
def test_rows_survive_parquet(row_type: type[Row]) -> None:
    @given(rows=st.lists(rows_of(row_type, row_type.table), max_size=3))
    @settings(max_examples=25, deadline=None)
    def check(rows: list[Row]) -> None:
        data = parquet_bytes(row_type.table, rows_to_arrow(row_type.table, rows))
        table = pq.read_table(io.BytesIO(data))
        assert table.schema.equals(SCHEMAS[row_type.table])
        assert rows_from_arrow(row_type, table) == rows

    check()


def test_param_columns_hold_the_params() -> None:
    params = {"optimizer": "adam", "learning_rate": 1, "widths": [1, 2.5], "depths": [3], "my_own": "x"}
    row = rows_to_arrow("trials", [trial(0, params=params)]).to_pylist()[0]
    given_values = {
        name: value for name, value in row.items() if name.startswith("param_") and value is not None
    }
    assert given_values == {
        "param_optimizer": "adam",
        "param_learning_rate": 1.0,
        "param_widths": [1.0, 2.5],
        "param_depths": [3],
    }


def test_studies_survive_parquet() -> None:
    row = StudyRow(
        study="s",
        definition="{}",
        fingerprint="f",
        params="{}",
        description="",
        created_at=NOON,
        versions="{}",
    )
    assert rows_from_arrow(StudyRow, rows_to_arrow("studies", [row])) == [row]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            replace(start(0), started_at=datetime(2026, 1, 1)),
            "started_at must be an instant with a time zone",
        ),
        (replace(start(0), number="0"), "number must be a whole number, got '0'"),
        (replace(start(0), number=True), "number must be a whole number, got True"),
        (replace(start(0), seed=2**63), "seed must fit in 64 bits"),
        (replace(start(0), params="not json"), "params must be JSON"),
        (replace(start(0), params='["learning_rate"]'), "params must be"),
        (replace(report(0, 1), val_loss="low"), "val_loss must be a number, got 'low'"),
        (replace(trial(0), state="done"), "'done' is not a valid State"),
        (replace(trial(0), git_dirty=1), "git_dirty must be true or false, got 1"),
        (replace(event(), detail=None), "detail must be text, got None"),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_the_field(row: Row, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        as_plain(row)
    assert message in str(caught.value)


def test_several_problems_are_shown_together() -> None:
    with pytest.raises(InvalidValueError, match=r"(?s)2 problems.*number.*seed"):
        as_plain(replace(start(0), number="0", seed="1"))


@pytest.mark.parametrize(
    ("given_value", "stored"),
    [("text", "text"), ("a\udcffb", "a?b"), ("nul\0 and \u2028", "nul\0 and \u2028")],
)
def test_text_that_no_encoding_has_is_replaced(given_value: str, stored: str) -> None:
    assert (
        as_plain(trial(0, error=given_value, state=State.FAILED, failure=Failure.RAISED))["error"] == stored
    )


def test_whole_numbers_become_floats_where_the_column_is_one() -> None:
    plain: dict[str, Any] = as_plain(trial(0, objective=1))
    assert isinstance(plain["objective"], float)
