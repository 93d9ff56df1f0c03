"""pandas, pyarrow, polars and DuckDB read the store as documented: plain globs, no flags, no code of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as pads
import pytest
from store_testing import event, make_study, open_writer, whole_trial

from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.columns.schema import SCHEMAS

TABLES = ("studies", "starts", "reports", "trials", "events")
Seen = tuple[list[str], list[object]]


def by_pandas(store: str, table: str) -> Seen:
    frame = pd.read_parquet(f"{store}/{table}")
    return list(frame.columns), frame["study"].tolist()


def by_pyarrow(store: str, table: str) -> Seen:
    found = pads.dataset(f"{store}/{table}").to_table()
    return found.column_names, found["study"].to_pylist()


def by_polars(store: str, table: str) -> Seen:
    frame = pl.scan_parquet(f"{store}/{table}/*/*.parquet").collect()
    return frame.columns, frame["study"].to_list()


def by_duckdb(store: str, table: str) -> Seen:
    with duckdb.connect() as connection:
        found = connection.sql(f"from read_parquet('{store}/{table}/*/*.parquet')").fetchall
        columns = connection.sql(f"from read_parquet('{store}/{table}/*/*.parquet')").columns
        return columns, [row[columns.index("study")] for row in found()]


READERS = pytest.mark.parametrize("read", [by_pandas, by_pyarrow, by_polars, by_duckdb])


@READERS
def test_a_store_without_rows_can_be_read(tmp_path: Path, read: Callable[[str, str], Seen]) -> None:
    open_writer(tmp_path).close()
    for table in TABLES:
        columns, studies = read(str(tmp_path), table)
        assert [name for name in columns if name != "study_slug"] == SCHEMAS[table].names
        assert studies == (["s"] if table == "studies" else [])


@READERS
def test_a_store_can_be_read_while_its_writer_lives(tmp_path: Path, read: Callable[[str, str], Seen]) -> None:
    with (
        open_writer(tmp_path, policy=PublishPolicy(trials=1)) as writer,
        open_writer(tmp_path, make_study("other.study-1"), policy=PublishPolicy(trials=1)) as other,
    ):
        for number in range(3):
            writer.append_many([event(), *whole_trial(number)])
            other.append_many(whole_trial(number, "other.study-1"))
            writer.append(event())  # only in the journal for now
            for table in ("starts", "trials"):
                columns, studies = read(str(tmp_path), table)
                assert [name for name in columns if name != "study_slug"] == SCHEMAS[table].names
                assert sorted(studies) == ["other.study-1"] * (number + 1) + ["s"] * (number + 1)
        assert len(read(str(tmp_path), "reports")[1]) == 18


@READERS
def test_types_are_the_promised_ones(tmp_path: Path, read: Callable[[str, str], Seen]) -> None:
    """One study alone could hide a column that is null in one file and not in another."""
    with open_writer(tmp_path) as writer:
        writer.append_many(whole_trial(0))
    with open_writer(tmp_path, make_study("t")) as writer:
        writer.append(event(study="t"))
    assert read(str(tmp_path), "events")[1] == ["t"]
    frame = pl.scan_parquet(f"{tmp_path}/trials/*/*.parquet").collect()
    assert frame["ended_at"].dtype == pl.Datetime("us", None)
    assert frame["param_widths"].dtype == pl.List(pl.Float64)
    assert frame["param_learning_rate"].to_list() == [0.01]


def test_the_folder_names_the_study_where_a_reader_shows_it(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many(whole_trial(0))
    assert set(pd.read_parquet(tmp_path / "trials")["study_slug"]) == {"s-s"}
    found = duckdb.sql(
        f"select distinct study_slug from read_parquet('{tmp_path}/trials/*/*.parquet')"
    ).fetchall()
    assert found == [("s-s",)]
