"""Paths that other programs misread are named when a store is made, with queries that read it correctly."""

from __future__ import annotations

import logging
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow.dataset as pads
import pytest
from store_testing import LATENCY, ODD_NAMES, make_study, open_writer, trial

from tune_jobs.store.format.plain_readers import duckdb_source, path_note, polars_call
from tune_jobs.store.latencies import append_latencies
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_into

HIVE = ("study=foo", "number=7", "NUMBER=7", "number=x", "study=")
GLOBS = ("g[1]", "g*", "g?", "[!a]", "g[1]{x,y}", "g[")
BOTH = ("g[1]/number=7", "it's g[1]/study=foo")
SOUND = ("number=1=2", "plain", "a b", "g{a,b}", "a]b", "year=2026", "study_slug=x", "~x", "100%25 #1")
Rows = list[tuple[str, int]]
RIGHT: Rows = [("s", 0), ("s", 1)]


def make_store(folder: Path | str) -> str:
    with open_writer(folder) as writer:
        writer.append_many([trial(0), trial(1)])
    return str(folder)


def make_others(folder: Path) -> None:
    """Stores whose paths the names of `GLOBS` match as patterns."""
    for name in ("g1", "gx"):
        with open_writer(folder / name / "below") as writer:
            writer.append(trial(5))


def by_duckdb(store: str) -> Rows:
    source = duckdb_source(store)
    if source.startswith("duckdb."):
        import pyarrow.dataset

        relation = eval(source, {"duckdb": duckdb, "pyarrow": pyarrow})
        return list(relation.select("study, number").order("number").fetchall())
    return duckdb.sql(f"select study, number {source} order by number").fetchall()


def by_polars(store: str) -> Rows:
    frame = eval(polars_call(store), {"polars": pl}).select("study", "number").sort("number").collect()
    return list(frame.rows())


def by_pandas(store: str) -> Rows:
    return list(pd.read_parquet(f"{store}/trials")[["study", "number"]].itertuples(index=False, name=None))


def by_pyarrow(store: str) -> Rows:
    found = pads.dataset(f"{store}/trials").to_table(columns=["study", "number"]).to_pylist()
    return [(row["study"], row["number"]) for row in found]


def by_query(store: str) -> Rows:
    return list(TrialStore(store).sql("select study, number from trials").itertuples(index=False, name=None))


def by_frames(store: str) -> Rows:
    return list(TrialStore(store).trials("s")[["study", "number"]].itertuples(index=False, name=None))


READERS = (by_duckdb, by_polars, by_pandas, by_pyarrow, by_query, by_frames)


@pytest.mark.parametrize("name", [*HIVE, *GLOBS, *BOTH, *SOUND, *ODD_NAMES, "a\\b", "a\\[1]"])
def test_the_documented_way_is_right_in_every_folder(tmp_path: Path, name: str) -> None:
    make_others(tmp_path)
    store = make_store(tmp_path / name / "below")
    assert {read.__name__: read(store) for read in READERS} == {read.__name__: RIGHT for read in READERS}


def plain_duckdb(store: str) -> Rows:
    quoted = store.replace("'", "''")
    return duckdb.sql(f"select study, number from '{quoted}/trials/*/*.parquet' order by number").fetchall()


def plain_polars(store: str) -> Rows:
    return list(pl.scan_parquet(f"{store}/trials/*/*.parquet").select("study", "number").collect().rows())


@pytest.mark.parametrize("name", [*HIVE, *GLOBS, *BOTH, *SOUND, *ODD_NAMES, "a\\b"])
def test_a_path_is_warned_about_if_a_plain_query_would_be_wrong(tmp_path: Path, name: str) -> None:
    """No other path is warned about."""
    make_others(tmp_path)
    store = make_store(tmp_path / name / "below")
    note = path_note(store)
    if note is None:
        assert plain_duckdb(store) == plain_polars(store) == RIGHT
        return
    assert duckdb_source(store) in note
    misread = False
    for read in (plain_duckdb, plain_polars):
        try:
            misread |= read(store) != RIGHT
        except (duckdb.Error, pl.exceptions.PolarsError):
            misread = True
    assert misread


def test_the_warning_says_what_is_misread_and_the_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_store(tmp_path / "number=7" / "g[1]")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    text = record.getMessage()
    assert "DuckDB takes the folder number=7 for a column" in text
    assert "DuckDB and polars cannot read [ in a path" in text
    pattern = f"{tmp_path}/number=7/g[[]1]/trials/*/*.parquet"
    assert f"from read_parquet('{pattern}', hive_partitioning = false)" in text
    assert f"polars.scan_parquet('{tmp_path}/number=7/g[1]/trials', glob=False)" in text


def test_a_store_is_warned_about_only_when_it_is_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "study=foo" / "trials"
    for study in (make_study(), make_study("another"), make_study()):
        open_writer(folder, study).close()
    TrialStore(folder).trials()
    assert len(caplog.records) == 1
    open_writer(tmp_path / "plain").close()
    assert len(caplog.records) == 1


def test_each_way_to_make_a_store_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    append_latencies(tmp_path / "number=1", [LATENCY])
    assert "number=1" in caplog.records[-1].getMessage()
    make_store(tmp_path / "plain")
    compact_into(tmp_path / "plain", "s", tmp_path / "number=2")
    assert "number=2" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 2


def test_buckets_are_warned_about_too() -> None:
    assert "study=foo" in (path_note("s3://bucket/study=foo/trials") or "")
    assert path_note("s3://bucket/trials") is None


@pytest.mark.parametrize("name", ["study=foo", "number=7", "g[1]", "g[1]/number=7"])
def test_our_reader_is_right_at_such_a_url(s3_store: str, name: str) -> None:
    store = make_store(f"{s3_store}/{name}")
    assert by_query(store) == by_frames(store) == RIGHT
    with duckdb.connect() as connection:
        connection.register_filesystem(fsspec.filesystem("s3"))
        found = connection.sql(f"select study, number {duckdb_source(store)} order by number").fetchall()
    assert found == RIGHT
