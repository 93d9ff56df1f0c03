"""All damage of a study is found, named and counted, before anything depends on its rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from store_testing import (
    leave_dead,
    open_writer,
    segments,
    snapshot_of_tree,
    whole_trial,
)

from tune_jobs.errors import StoreCorruptError
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.examining import examine, find_orphans


def test_a_damaged_segment_stops_the_writer_and_names_the_file(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many(whole_trial(0))
    (segment,) = segments(tmp_path, "reports")
    whole = segment.read_bytes()
    segment.write_bytes(whole[: len(whole) // 2])
    before = snapshot_of_tree(tmp_path / "reports")
    with pytest.raises(StoreCorruptError) as caught:
        open_writer(tmp_path)
    assert str(segment) in str(caught.value)
    assert "Restore the damaged files from a backup, or run `python -m tune_jobs repair s" in str(
        caught.value
    )
    assert snapshot_of_tree(tmp_path / "reports") == before
    segment.write_bytes(whole)
    with open_writer(tmp_path) as writer:
        assert len(writer.rows) == 5


def test_a_whole_study_gives_its_rows_published_or_not(tmp_path: Path) -> None:
    leave_dead(tmp_path, whole_trial(0))
    found = examine(LocalFiles(tmp_path), "s")
    assert found.is_whole
    assert [row.seq for row in found.require_whole()] == [1, 2, 3, 4, 5]
    assert found.describe() == []


def test_rows_of_a_trial_whose_start_is_lost_are_orphans(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many([*whole_trial(0), *whole_trial(1)])
    rows = TrialStore(tmp_path).rows("s")
    assert find_orphans(rows) == ()
    lost = [row for row in rows if not (row.table == "starts" and row.number == 1)]
    orphans = find_orphans(lost)
    assert {row.number for row in orphans} == {1}
    assert len(orphans) == 4
    found = replace(examine(LocalFiles(tmp_path), "s"), orphans=orphans)
    assert found.describe() == [
        "4 rows of trial 1 cannot be used: the row with which the trial started is lost"
    ]
    with pytest.raises(StoreCorruptError, match="does not continue from half a history"):
        found.require_whole()


def test_a_damaged_file_is_named_and_the_other_rows_count(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many(whole_trial(0))
    segment = next((tmp_path / "reports" / "study_slug=s-s").glob("*-000001.parquet"))
    segment.write_text("not Parquet")
    found = examine(LocalFiles(tmp_path), "s")
    (damage,) = found.damage
    assert segment.name in damage.what
    assert not damage.readable
    assert [row.table for row in found.rows] == ["starts", "trials"]
