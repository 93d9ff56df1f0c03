"""What a dead writer or a killed compaction left is published or put back, a single time."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_testing import (
    TABLES,
    event,
    journals,
    leave_dead,
    open_writer,
    segments,
    snapshot_of_tree,
    whole_trial,
    write_trials,
)

from tune_jobs.errors import StoreCorruptError
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_study


def test_a_dead_writers_rows_are_published_under_its_names(tmp_path: Path) -> None:
    leave_dead(tmp_path, whole_trial(0))
    (journal,) = journals(tmp_path)
    with journal.open("ab") as handle:
        handle.write(b'{"crc32":"torn')
    scratch = tmp_path / "_tmp" / "s-s"
    (scratch / f"{journal.stem}.parquet.0123456789ab").write_bytes(b"PAR1")
    (scratch / "stray.parquet.12ab").write_bytes(b"PAR1")  # no name of ours
    assert len(TrialStore(tmp_path).rows("s")) == 5
    with open_writer(tmp_path) as writer:
        assert [row.seq for row in writer.rows] == [1, 2, 3, 4, 5]
        assert writer.problems == ()
    assert [path.stem for path in segments(tmp_path, "trials")] == [journal.stem]
    assert journals(tmp_path) == []
    assert [path.name for path in scratch.iterdir()] == ["stray.parquet.12ab"]


def test_an_empty_journal_is_just_removed(tmp_path: Path) -> None:
    leave_dead(tmp_path, [event()])
    journals(tmp_path)[0].write_bytes(b"")
    with open_writer(tmp_path) as writer:
        assert not writer.rows
    assert journals(tmp_path) == []


def test_recovery_writes_a_damaged_segment_anew_while_its_journal_is_there(tmp_path: Path) -> None:
    leave_dead(tmp_path, whole_trial(0))
    (journal,) = journals(tmp_path)
    half = tmp_path / "trials" / "study_slug=s-s" / f"{journal.stem}.parquet"
    half.write_bytes(b"PAR1 and no end")
    with open_writer(tmp_path) as writer:
        assert len(writer.rows) == 5


def test_a_damaged_journal_is_refused_before_anything_is_published(
    tmp_path: Path,
) -> None:
    leave_dead(tmp_path, whole_trial(0))
    (journal,) = journals(tmp_path)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"reports", b"REPORTS")
    journal.write_bytes(b"".join(lines))

    reader = TrialStore(tmp_path)
    assert [row.seq for row in reader.rows("s")] == [1, 2, 4, 5]
    assert "damaged in line 3" in reader.problems[0]
    before = snapshot_of_tree(tmp_path)
    for _ in range(2):  # it is refused each time, and nothing is published meanwhile
        with pytest.raises(StoreCorruptError) as caught:
            open_writer(tmp_path)
        assert f"{str(journal)!r} is damaged in line 3" in str(caught.value)
        assert f"python -m tune_jobs repair s --store {tmp_path}" in str(caught.value)
    after = snapshot_of_tree(tmp_path)
    assert {name: after[name] for name in before if "lock" not in name} == {
        name: size for name, size in before.items() if "lock" not in name
    }


def test_replaced_files_are_kept_for_a_while_and_then_until_the_study_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_trials(tmp_path, 2)
    old = tmp_path / "_old" / "s-s"
    compact_study(tmp_path, "s")
    first = {path.name for path in old.iterdir()}
    compact_study(tmp_path, "s")
    names = sorted(path.name for path in old.iterdir())
    assert first < set(names)
    assert [name.partition("-")[0] for name in names] == sorted(2 * list(TABLES))
    monkeypatch.setattr("tune_jobs.store.upkeep.recovery.KEEP_OLD_S", 0.0)
    open_writer(tmp_path).close()
    assert not old.exists()


def test_of_several_replaced_folders_the_newest_is_put_back(tmp_path: Path) -> None:
    before = write_trials(tmp_path, 3)
    compact_study(tmp_path, "s")
    compact_study(tmp_path, "s")
    place = tmp_path / "trials" / "study_slug=s-s"
    names = {path.name for path in place.iterdir()}
    place.rename(tmp_path / "_old" / "s-s" / "trials-ffffffffffff-00000000")
    open_writer(tmp_path).close()
    assert {path.name for path in place.iterdir()} == names
    assert TrialStore(tmp_path).rows("s") == before
