"""Compaction: the same rows in few files; nobody sees a row twice or a gap, and it may be killed anywhere."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from store_testing import (
    TABLES,
    Crash,
    CrashingFiles,
    MortalFiles,
    leave_dead,
    open_writer,
    report,
    whole_trial,
    write_trials,
)

from eml_models.errors import UnknownNameError
from tune_jobs.errors import StoreCorruptError, StoreError, StoreLockedError
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.format.layout import COMPACTED
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_into, compact_study

EACH_TRIAL = PublishPolicy(trials=1)


def num_files(store: Path, study: str = "s") -> int:
    return sum(len(list((store / table / f"study_slug=s-{study}").glob("*.parquet"))) for table in TABLES)


def seqs_by_pyarrow(store: Path, table: str) -> list[int]:
    return pads.dataset(store / table).to_table(columns=["seq"])["seq"].to_pylist()


def seqs_by_pandas(store: Path, table: str) -> list[int]:
    return pd.read_parquet(store / table, columns=["seq"])["seq"].tolist()


def seqs_by_polars(store: Path, table: str) -> list[int]:
    return pl.scan_parquet(f"{store}/{table}/*/*.parquet").select("seq").collect()["seq"].to_list()


def seqs_by_duckdb(store: Path, table: str) -> list[int]:
    with duckdb.connect() as connection:
        rows = connection.sql(f"select seq from read_parquet('{store}/{table}/*/*.parquet')").fetchall()
        return [row[0] for row in rows]


READERS = (seqs_by_pyarrow, seqs_by_pandas, seqs_by_polars, seqs_by_duckdb)


def test_compaction_keeps_every_row_in_few_files(tmp_path: Path) -> None:
    before = write_trials(tmp_path, 20)
    done = compact_study(tmp_path, "s")
    assert TrialStore(tmp_path).rows("s") == before
    assert (done.num_rows, done.files_before, done.files_after) == (len(before), 84, 8)
    assert num_files(tmp_path) == 8


@pytest.mark.parametrize("read", READERS)
def test_plain_readers_see_the_same_rows(tmp_path: Path, read: Callable[[Path, str], list[int]]) -> None:
    write_trials(tmp_path, 5)
    before = {table: sorted(read(tmp_path, table)) for table in TABLES}
    compact_study(tmp_path, "s")
    assert {table: sorted(read(tmp_path, table)) for table in TABLES} == before


def test_reports_are_sorted_by_trial_and_epoch_with_statistics_to_skip_by(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        for number in (0, 1):
            writer.append(whole_trial(number)[0])
        writer.append_many([report(1, 1), report(0, 1), report(1, 2), report(0, 2)])
    compact_study(tmp_path, "s")
    (path,) = (tmp_path / "reports" / "study_slug=s-s").glob(f"{COMPACTED}*")
    rows = pq.read_table(path).to_pylist()
    assert [(row["number"], row["epoch"]) for row in rows] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    group = pq.ParquetFile(path).metadata.row_group(0)
    column = next(
        group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == "number"
    )
    assert (column.statistics.min, column.statistics.max) == (0, 1)


def test_the_study_goes_on_and_is_compacted_again(tmp_path: Path) -> None:
    write_trials(tmp_path, 3)
    compact_study(tmp_path, "s")
    rows = write_trials(tmp_path, 3, first=3)
    assert [row.seq for row in rows] == list(range(1, 37))
    compact_study(tmp_path, "s")
    assert TrialStore(tmp_path).rows("s") == rows
    assert num_files(tmp_path) == 8


def test_a_reader_that_was_open_before_sees_the_same(tmp_path: Path) -> None:
    write_trials(tmp_path, 4)
    store = TrialStore(tmp_path)
    before = store.sql("select * from reports order by seq")
    for _ in range(2):
        compact_study(tmp_path, "s")
        pd.testing.assert_frame_equal(store.sql("select * from reports order by seq"), before)
    assert store.problems == ()


def test_what_a_dead_writer_left_is_published_first(tmp_path: Path) -> None:
    leave_dead(tmp_path, whole_trial(0))
    compact_study(tmp_path, "s")
    assert len(seqs_by_pyarrow(tmp_path, "reports")) == 3


def test_a_study_with_a_living_writer_is_refused_and_its_neighbour_is_not(tmp_path: Path) -> None:
    write_trials(tmp_path, 2, study="other")
    with open_writer(tmp_path, policy=EACH_TRIAL) as writer:
        writer.append_many(whole_trial(0))
        with pytest.raises(StoreLockedError, match="is being written by process"):
            compact_study(tmp_path, "s")
        compact_study(tmp_path, "other")
        writer.append_many(whole_trial(1))
    assert len(TrialStore(tmp_path).trials()) == 4


def test_a_damaged_file_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    write_trials(tmp_path, 2)
    path = sorted((tmp_path / "trials" / "study_slug=s-s").glob("*.parquet"))[-1]
    path.write_bytes(path.read_bytes()[:-40])
    before = num_files(tmp_path)
    with pytest.raises(StoreCorruptError, match=path.name):
        compact_study(tmp_path, "s")
    assert num_files(tmp_path) == before


def test_unknown_study_lists_the_known_ones(tmp_path: Path) -> None:
    write_trials(tmp_path, 1)
    with pytest.raises(UnknownNameError, match="unknown study 'nope'; known: s"):
        compact_study(tmp_path, "nope")


def test_killed_at_any_change_the_store_is_correct(tmp_path: Path) -> None:
    for crash_at in itertools.count(1):
        store = tmp_path / str(crash_at)
        before = write_trials(store, 2)
        files = CrashingFiles(store, crash_at=crash_at)
        with suppress(Crash):
            compact_study(files, "s")
        finished = not files.dead
        plain = sorted(itertools.chain.from_iterable(seqs_by_pyarrow(store, table) for table in TABLES))
        assert plain == [row.seq for row in before]
        assert TrialStore(store).rows("s") == before
        assert [*compact_study(store, "s").problems] == []
        assert TrialStore(store).rows("s") == before
        assert num_files(store) == 8
        if finished:
            break
    assert crash_at > 20, "the changes of a compaction should have been counted"


class TwoSteps(MortalFiles):
    """A file system without an exchange in one step, as NFS; may die between the two."""

    dies_between = False

    def exchange_folders(self, current: str, new: str, *, old: str) -> None:
        LocalFiles.move(self, current, old)
        if self.dies_between:
            raise Crash
        LocalFiles.move(self, new, current)


def test_without_an_exchange_in_one_step_a_kill_in_between_is_mended(tmp_path: Path) -> None:
    before = write_trials(tmp_path, 2)
    compact_study(TwoSteps(tmp_path), "s")
    assert TrialStore(tmp_path).rows("s") == before
    files = TwoSteps(tmp_path)
    files.dies_between = True
    with pytest.raises(Crash):
        compact_study(files, "s")
    files.die()
    with pytest.raises(StoreError, match="run compact again"):
        TrialStore(tmp_path).rows("s")
    open_writer(tmp_path).close()
    assert TrialStore(tmp_path).rows("s") == before


def test_a_copy_in_another_store_can_be_read_and_gone_on_with(tmp_path: Path) -> None:
    before = write_trials(tmp_path / "a", 3)
    done = compact_into(tmp_path / "a", "s", tmp_path / "b")
    assert (done.num_rows, done.files_after) == (len(before), 8)
    assert TrialStore(tmp_path / "b").rows("s") == before == TrialStore(tmp_path / "a").rows("s")
    write_trials(tmp_path / "b", 1, first=3)
    assert len(TrialStore(tmp_path / "b").trials()) == 4
    with pytest.raises(StoreError, match="holds study 's' already"):
        compact_into(tmp_path / "a", "s", tmp_path / "b")


def compact_again_and_again(store: str, pipe: Connection) -> None:
    while not pipe.poll():
        compact_study(store, "s")


@pytest.mark.parametrize("kills", [0, 12])
def test_readers_meanwhile_see_every_row_once(tmp_path: Path, kills: int) -> None:
    """Ours without an error; plain ones may miss a file that went, and never see a row twice or a gap."""
    before = write_trials(tmp_path, 6)
    expected = {table: sorted(seqs_by_pyarrow(tmp_path, table)) for table in TABLES}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tune_jobs.store.upkeep.compact"])
    generator = random.Random(kills)
    store, missed, reads, rounds = TrialStore(tmp_path), 0, 0, max(1, kills)
    for number in range(1, rounds + 1):
        ours, theirs = context.Pipe()
        process = context.Process(target=compact_again_and_again, args=(str(tmp_path), theirs), daemon=True)
        process.start()
        until = time.monotonic() + (generator.uniform(0.2, 0.6) if kills else 4.0)
        while time.monotonic() < until or reads <= 50 * number / rounds:
            assert store.rows("s") == before
            for read in READERS:
                table = generator.choice(TABLES)
                reads += 1
                try:
                    found = read(tmp_path, table)
                except (OSError, duckdb.Error, pl.exceptions.PolarsError):
                    missed += 1
                    continue
                assert sorted(found) == expected[table]
        if kills:
            process.kill()
        else:
            ours.send("enough")
        process.join()
        process.close()
    assert store.problems == ()
    assert reads > 50
    assert missed < reads / 3, "an exchange every few milliseconds, and still most reads succeed"
