"""Writers that are killed with -9 at random moments lose nothing and repeat nothing."""

from __future__ import annotations

import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow.dataset as pads
import pytest
from store_killed import write_until_killed
from store_testing import make_study, open_writer

from tune_jobs.store.reader import TrialStore, read_history

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
            assert all(pipe.poll(30) for _, _, pipe in writers)
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
    seqs = [row.seq for row in read_history(store, study)]
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


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path) -> None:
    for seed in range(5):
        store = tmp_path / str(seed)
        kill_writers(store, kills=40, studies=("one", "two", "three", "four"), seed=seed)
        assert TrialStore(store).problems == ()
