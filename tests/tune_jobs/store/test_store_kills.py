"""Writers that are killed with -9 at random moments lose nothing and repeat nothing."""

from __future__ import annotations

import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as pads
import pytest
from patience import patience_s
from store_killed import write_until_killed
from store_testing import make_study, open_writer

from tune_jobs.store.reader import TrialStore

PRELOADED = ["tune_jobs.store.writer", "tune_jobs.store.reader"]


def kill_writers(store: Path, *, kills: int, studies: tuple[str, ...], seed: int) -> None:
    """Let a writer a study work for a random time, kill them, look at what is there; again and again.

    Every other round they get to their first row before, else they may die while they start and recover.
    """
    generator = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    acknowledged: dict[str, int] = dict.fromkeys(studies, 0)
    for round_number in range(kills // len(studies)):
        writers = []
        for study in studies:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=write_until_killed, args=(str(store), study, theirs), daemon=True
            )
            process.start()
            theirs.close()
            writers.append((study, process, ours))
        if round_number % 2 == 0:
            assert all(pipe.poll(patience_s()) for _, _, pipe in writers)
        time.sleep(generator.uniform(0.0, 0.25))
        for study, process, pipe in writers:
            process.kill()
            acknowledged[study] = max(acknowledged[study], last_of(pipe))
            process.join()
            process.close()
        for study, last in acknowledged.items():
            check(store, study, last)
    assert all(last > 0 for last in acknowledged.values()), "the writers should have got to write"


def last_of(pipe: Connection) -> int:
    last = 0
    try:
        while True:
            last = pipe.recv()
    except EOFError:
        pipe.close()
        return last


def check(store: Path, study: str, last: int) -> None:
    if not last:
        return
    seqs = [row.seq for row in TrialStore(store).rows(study)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) >= last
    plain = [
        seq
        for table in ("starts", "reports", "trials", "events")
        for seq in pads.dataset(store / table / f"study_slug=s-{study}")
        .to_table(columns=["seq"])["seq"]
        .to_pylist()
    ]
    assert len(plain) == len(set(plain))


def test_twenty_kills(tmp_path: Path) -> None:
    kill_writers(tmp_path, kills=20, studies=("one", "two"), seed=1)
    for study in ("one", "two"):
        open_writer(tmp_path, make_study(study)).close()
    store = TrialStore(tmp_path)
    assert store.problems == ()
    assert len(store.trials()) == len(pads.dataset(tmp_path / "trials").to_table())


def test_four_writers_at_once_under_plain_readers(tmp_path: Path) -> None:
    """No error, no row twice, no trial before its reports, whatever is asked whenever."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    writers = []
    for study in ("one", "two", "three", "four"):
        open_writer(tmp_path, make_study(study)).close()
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=write_until_killed, args=(str(tmp_path), study, theirs), daemon=True)
        process.start()
        theirs.close()
        writers.append((process, ours))
    until, reads, trials = time.monotonic() + 4.0, 0, []
    while time.monotonic() < until or reads < 8 or len(trials) <= 20:
        for read in (read_by_pandas, read_by_pyarrow, read_by_polars, read_by_duckdb):
            trials = read(tmp_path, "trials")
            reports = read(tmp_path, "reports")
            assert len(trials) == len(set(trials))
            assert len(reports) == len(set(reports))
            assert {trial for trial, _ in trials} <= {trial for trial, _ in reports}
            reads += 1
    for process, pipe in writers:
        process.kill()
        process.join()
        process.close()
        pipe.close()


KEYS = ["trial_id", "seq"]


def read_by_pandas(store: Path, table: str) -> list[tuple[str, int]]:
    frame = pd.read_parquet(store / table, columns=KEYS)
    return list(frame.itertuples(index=False, name=None))


def read_by_pyarrow(store: Path, table: str) -> list[tuple[str, int]]:
    rows = pads.dataset(store / table).to_table(columns=KEYS).to_pylist()
    return [(row["trial_id"], row["seq"]) for row in rows]


def read_by_polars(store: Path, table: str) -> list[tuple[str, int]]:
    return pl.scan_parquet(f"{store}/{table}/*/*.parquet").select(KEYS).collect().rows()


def read_by_duckdb(store: Path, table: str) -> list[tuple[str, int]]:
    with duckdb.connect() as connection:
        found = connection.sql(f"select trial_id, seq from read_parquet('{store}/{table}/*/*.parquet')")
        return found.fetchall()


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path) -> None:
    for seed in range(5):
        store = tmp_path / str(seed)
        kill_writers(store, kills=40, studies=("one", "two", "three", "four"), seed=seed)
        assert TrialStore(store).problems == ()
