"""The writer's promises: acknowledged is durable, published is whole, one writer, idempotent recovery."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.dataset as pads
import pytest
from store_testing import (
    NEVER,
    NOON,
    ODD_NAMES,
    Crash,
    CrashingFiles,
    event,
    integer,
    leave_dead,
    make_study,
    open_writer,
    report,
    snapshot_of_tree,
    start,
    trial,
    whole_trial,
)

from eml_models.errors import InvalidValueError
from tune_jobs.errors import StoreCorruptError, StoreError, StoreLockedError, StudyChangedError
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.method import Asha
from tune_jobs.study.rows import Row
from tune_jobs.study.space import Choice, Float
from tune_jobs.testing.clock import SteppingClock


def segments(store: Path, table: str, study: str = "s") -> list[Path]:
    folder = store / table / f"study_slug=s-{study}"
    return [path for path in sorted(folder.iterdir()) if "no-rows" not in path.name]


def journals(store: Path, study: str = "s") -> list[Path]:
    return sorted((store / "_wal" / f"s-{study}").glob("*.jsonl"))


def published_seqs(store: Path) -> list[int]:
    """What a plain reader sees, over all tables."""
    tables = ("starts", "reports", "trials", "events")
    return sorted(seq for t in tables for seq in pads.dataset(store / t).to_table()["seq"].to_pylist())


def test_layout_is_as_documented(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many([*whole_trial(0), event()])
        (journal,) = journals(tmp_path)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    empty = "0000000000-no-rows.parquet"
    tables = ("starts", "reports", "trials", "events")
    assert files == {
        "_wal/creation.lock",
        "_wal/s-s/lock",
        "studies/study_slug=s-s/definition-1.parquet",
        *(
            f"{table}/study_slug=s-s/{name}"
            for table in tables
            for name in (f"{journal.stem}.parquet", empty)
        ),
    }
    assert journal.stem.startswith("0000000001-")
    assert journal.stem.endswith("-000001")


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


def test_defaults_are_the_documented_ones() -> None:
    assert PublishPolicy() == PublishPolicy(trials=64, reports=2048, seconds=30.0)


def test_tables_are_published_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    puts: list[str] = []
    real = LocalFiles.put

    def put(self: LocalFiles, key: str, data: bytes, *, scratch: str) -> None:
        puts.append(key.split("/")[0])
        real(self, key, data, scratch=scratch)

    with open_writer(tmp_path) as writer:
        writer.append_many([trial(0), event(), report(0, 1), start(0)])
        monkeypatch.setattr(LocalFiles, "put", put)
    assert puts == ["starts", "reports", "trials", "events"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_path_can_be_a_store(tmp_path: Path, name: str) -> None:
    store = tmp_path / name / "deep"
    with open_writer(store) as writer:
        writer.append_many(whole_trial(0))
        assert len(TrialStore(store).trials()) == 1
    assert len(TrialStore(store).sql("from reports")) == 3
    assert len(TrialStore(store).rows("s")) == 5


def test_a_relative_store_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_writer("here") as writer:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        writer.append(event())
    assert published_seqs(tmp_path / "here") == [1]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_changed_definition_is_refused_with_the_difference(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    open_writer(tmp_path, make_study(trials=99, description="more of the same")).close()
    changed = make_study("s", Float("learning_rate", 1e-4, 0.5, log=True), asha=Asha(min_epochs=2))
    with pytest.raises(StudyChangedError) as caught:
        open_writer(tmp_path, changed)
    message = str(caught.value)
    assert "space.learning_rate.high: was 1.0, is now 0.5" in message
    assert "asha.min_epochs: was 1, is now 2" in message
    assert "--name s-2" in message
    open_writer(tmp_path).close()  # the refused one has freed the study


def test_a_parameter_keeps_its_type_over_all_studies(tmp_path: Path) -> None:
    open_writer(tmp_path, make_study("first", Float("x", 0, 1))).close()
    for parameter, kind in ((integer("x"), "int64"), (Choice("x", ("a", "b")), "string")):
        with pytest.raises(InvalidValueError) as caught:
            open_writer(tmp_path, make_study("second", parameter))
        assert f"'x' is {kind} in study 'second' but double in study 'first'" in str(caught.value)
    assert TrialStore(tmp_path).studies()["study"].tolist() == ["first"]
    open_writer(tmp_path, make_study("second", Float("x", 5, 6))).close()


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
        with pytest.raises(InvalidValueError, match="learning_rate"):
            writer.append_many([start(1), start(2, learning_rate="x")])
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
