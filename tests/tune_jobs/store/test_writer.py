"""The writer's promises: acknowledged is durable, published is whole, one writer, idempotent recovery."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.dataset as pads
import pytest
from store_testing import (
    NEVER,
    NOON,
    Crash,
    CrashingFiles,
    event,
    journals,
    make_study,
    open_writer,
    report,
    start,
    trial,
    whole_trial,
)

from eml_models.errors import InvalidValueError
from tune_jobs.errors import StoreError, StoreLockedError
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.rows import Row
from tune_jobs.testing.clock import SteppingClock


def published_seqs(store: Path) -> list[int]:
    """What a plain reader sees, over all tables."""
    tables = ("starts", "reports", "trials", "events")
    return sorted(seq for t in tables for seq in pads.dataset(store / t).to_table()["seq"].to_pylist())


def test_append_gives_seq_over_all_tables(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        assert writer.append(start(0)).seq == 1
        assert [row.seq for row in writer.append_many([report(0, 1), trial(0)])] == [2, 3]
        assert writer.append_many([]) == []
    with open_writer(tmp_path) as writer:
        assert [row.seq for row in writer.rows] == [1, 2, 3]
        last = writer.append(event())
        assert last.seq == 4
        assert [row.seq for row in writer.rows] == [1, 2, 3, 4]
        assert writer.rows[-1] == last


def test_an_acknowledged_row_is_in_the_journal_when_append_returns(tmp_path: Path) -> None:
    with open_writer(tmp_path, policy=NEVER) as writer:
        for epoch in (1, 2, 3):
            row = writer.append(report(0, epoch))
            (journal,) = journals(tmp_path)
            assert json.loads(journal.read_bytes().splitlines()[-1])["rows"][0]["seq"] == row.seq


@pytest.mark.parametrize(
    ("policy", "rows"),
    [
        (PublishPolicy(trials=2), [trial(0), trial(1)]),
        (PublishPolicy(reports=3), [report(0, 1), report(0, 2), report(0, 3)]),
    ],
)
def test_a_full_batch_is_published(tmp_path: Path, policy: PublishPolicy, rows: list[Row]) -> None:
    with open_writer(tmp_path, policy=policy) as writer:
        for row in rows[:-1]:
            writer.append(row)
        assert published_seqs(tmp_path) == []
        writer.append(rows[-1])
        assert published_seqs(tmp_path) == [row.seq for row in TrialStore(tmp_path).rows("s")]
        assert journals(tmp_path) == []
        writer.append(event())
        assert [path.stem[-6:] for path in journals(tmp_path)] == ["000002"]


def test_an_old_batch_is_published_by_an_append_or_by_asking(tmp_path: Path) -> None:
    seconds = 0.0
    with open_writer(tmp_path, elapsed=lambda: seconds) as writer:
        writer.append(event())
        seconds = 29.9
        writer.publish_if_due()
        assert published_seqs(tmp_path) == []
        seconds = 30.0
        writer.publish_if_due()
        assert published_seqs(tmp_path) == [1]
        writer.append(event())
        seconds = 61.0
        writer.append(event())
        assert published_seqs(tmp_path) == [1, 2, 3]
        writer.publish_if_due()


def test_a_relative_store_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_writer("here") as writer:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        writer.append(event())
    assert published_seqs(tmp_path / "here") == [1]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_second_writer_is_refused_and_told_who_holds_the_study(tmp_path: Path) -> None:
    with open_writer(tmp_path, clock=lambda: NOON) as writer:
        with pytest.raises(
            StoreLockedError, match=r"'s' is being written by process \d+ on .* since 2026-11-24T12"
        ):
            open_writer(tmp_path)
        with open_writer(tmp_path, make_study("other")) as other:
            other.append(event(study="other"))
            writer.append(event())
    open_writer(tmp_path).close()


def test_rows_of_others_and_rows_with_a_seq_are_refused_and_cost_nothing(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        with pytest.raises(InvalidValueError, match="'other' cannot go to study 's'"):
            writer.append(start(0, "other"))
        row = writer.append(start(0))
        with pytest.raises(InvalidValueError, match="got a row with seq 1"):
            writer.append(row)
        with pytest.raises(InvalidValueError, match="params"):
            writer.append_many([start(1), replace(start(2), params="[]")])
        assert writer.append(start(1)).seq == 2


def test_a_closed_writer_takes_no_rows(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.close()
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        writer.append(event())


def test_clocks_may_step(tmp_path: Path) -> None:
    clock = SteppingClock(NOON, step_s=-3600)
    for number in range(3):
        with open_writer(tmp_path, clock=clock) as writer:
            writer.append(start(number, at=clock()))
    rows = TrialStore(tmp_path).rows("s")
    assert [row.seq for row in rows] == [1, 2, 3]
    assert [row.number for row in rows if row.table == "starts"] == [0, 1, 2]
    assert TrialStore(tmp_path).starts()["started_at"].is_monotonic_decreasing


# Recovery.


def crashing_run(store: Path, crash_at: int, acknowledged: list[int]) -> bool:
    """A run that dies at its n-th change of the disk; False if it ended before."""
    files = CrashingFiles(store, crash_at=crash_at)
    try:
        with open_writer(files, policy=PublishPolicy(trials=1)) as writer:
            for number in range(2):
                base = writer.rows[-1].seq if writer.rows else 0
                acknowledged += [row.seq for row in writer.append_many(whole_trial(base + number))]
            acknowledged.append(writer.append(event()).seq)
    except Crash:
        return True
    return False


def test_death_at_any_step_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """Every step of creating, appending, publishing and recovering in turn, each in a store of its own."""
    crash_at = 0
    died = True
    while died:
        crash_at += 1
        store = tmp_path / str(crash_at)
        acknowledged: list[int] = []
        died = crashing_run(store, crash_at, acknowledged)
        for again in (2, 5, 9):  # recovery dies as well
            crashing_run(store, again, acknowledged)
            if acknowledged:
                seen = [row.seq for row in TrialStore(store).rows("s")]
                assert seen == list(range(1, len(seen) + 1)), (crash_at, again)
                assert set(acknowledged) <= set(seen), (crash_at, again)
        with open_writer(store) as writer:
            assert [row.seq for row in writer.rows] == list(range(1, len(writer.rows) + 1))
            assert set(acknowledged) <= {row.seq for row in writer.rows}
        assert published_seqs(store) == [row.seq for row in writer.rows]
        assert len(acknowledged) == len(set(acknowledged))
    assert crash_at > 30


# Disks that fail.
