"""A damaged study is refused before anything changes, named by all readers, and repaired only if asked."""

from __future__ import annotations

import secrets
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from store_testing import (
    EACH_TRIAL,
    NEVER,
    Crash,
    CrashingFiles,
    event,
    leave_dead,
    open_writer,
    report,
    snapshot_of_tree,
    start,
    trial,
    whole_trial,
)

from eml_models.errors import UnknownNameError
from tune_jobs.errors import StoreCorruptError, StoreLockedError
from tune_jobs.search.history import History
from tune_jobs.store.files.objects import CACHE_VARIABLE, ObjectFiles
from tune_jobs.store.files.protocol import open_files
from tune_jobs.store.format.journal import read_batch
from tune_jobs.store.format.publishing import publish
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_into, compact_study
from tune_jobs.store.upkeep.repair import plan_repair, repair_study
from tune_jobs.study.rows import Row


def ten_rows() -> list[Row]:
    """Two trials, row by row: seqs 1 to 5 and 6 to 10."""
    return [*whole_trial(0), *whole_trial(1)]


def a_journal(store: Path) -> Path:
    leave_dead(store, ten_rows())
    (journal,) = (store / "_wal" / "s-s").glob("*.jsonl")
    return journal


def damage_line(journal: Path, number: int) -> None:
    """One changed byte in a line, inside a text."""
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace(b"session", b"sessioN").replace(b"s/", b"S/")
    journal.write_bytes(b"".join(lines))


@pytest.mark.parametrize("killed_at", [None, *range(1, 25)])
def test_what_a_damaged_journal_lost_is_taken_from_its_published_files(
    tmp_path: Path, killed_at: int | None
) -> None:
    """A writer that was killed between publishing and removing the journal leaves both."""
    journal = a_journal(tmp_path)
    files = open_files(tmp_path)
    batch = journal.stem
    content = read_batch(files, "s", batch)
    assert content is not None
    publish(files, "s", batch, content.rows)
    damage_line(journal, 6)  # the start of trial 1
    before = rows_in(tmp_path)
    plan = plan_repair(tmp_path, "s")
    assert (plan.num_kept, plan.num_missing, plan.lost_trials, sum(plan.lost_rows.values())) == (10, 0, (), 0)
    if killed_at is not None:
        with suppress(Crash):
            repair_study(CrashingFiles(tmp_path, crash_at=killed_at), "s")
    repair_study(tmp_path, "s")
    assert rows_in(tmp_path) == before
    assert not journal.exists()
    open_writer(tmp_path).close()


def rows_in(store: Path) -> list[tuple[str, int]]:
    found = TrialStore(store)
    tables = {"starts": found.starts, "reports": found.reports, "trials": found.trials}
    return [(name, seq) for name, read in tables.items() for seq in sorted(read("s")["seq"])]


def files_of(store: Path) -> dict[str, tuple[int, int]]:
    return {name: at for name, at in snapshot_of_tree(store).items() if not name.endswith("lock")}


@pytest.mark.parametrize(
    ("line", "read", "kept", "lost", "hurt"),
    [
        (3, 9, 9, (), (0,)),  # a report of trial 0
        (5, 9, 9, (), (0,)),  # its end: it is unfinished again
        (6, 9, 5, (1,), ()),  # the start of trial 1: none of its rows is of use
    ],
)
def test_a_damaged_line_is_refused_shown_and_given_up_only_if_asked(
    tmp_path: Path, line: int, read: int, kept: int, lost: tuple[int, ...], hurt: tuple[int, ...]
) -> None:
    journal = a_journal(tmp_path)
    damage_line(journal, line)
    damaged, before = journal.read_bytes(), files_of(tmp_path)
    for act in (open_writer, lambda store: compact_study(store, "s")):
        with pytest.raises(StoreCorruptError, match=rf"is damaged in line {line} \(the checksum does not"):
            act(tmp_path)
    with pytest.raises(StoreCorruptError, match=f"is damaged in line {line}"):
        compact_into(tmp_path, "s", tmp_path / "copy")
    planned = plan_repair(tmp_path, "s")
    assert {name: at for name, at in files_of(tmp_path).items() if name in before} == before
    assert list((tmp_path / "trials" / "study_slug=s-s").iterdir()) == [
        tmp_path / "trials" / "study_slug=s-s" / "0000000000-no-rows.parquet"
    ]
    assert len(TrialStore(tmp_path).rows("s")) == read

    done = repair_study(tmp_path, "s")
    assert (done.lost_trials, done.hurt_trials, done.num_kept) == (lost, hurt, kept)
    assert (planned.damage, planned.lost_rows, planned.num_kept) == (done.damage, done.lost_rows, kept)
    assert sum(done.lost_rows.values()) == 10 - kept
    assert done.num_missing == 1
    (aside,) = map(Path, done.aside)
    assert aside.read_bytes() == damaged
    assert aside.parent == tmp_path / "_wal" / "damaged" / "s-s"
    reader = TrialStore(tmp_path)
    assert len(reader.rows("s")) == kept
    assert reader.problems == ()
    with open_writer(tmp_path) as writer:
        History.from_rows(writer.study, writer.rows)
        assert len(writer.rows) == kept
        assert writer.append(event()).seq == (11 if kept == 9 else 6)
    assert plan_repair(tmp_path, "s").damage == ()


def test_a_torn_last_line_was_never_acknowledged(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.write_bytes(journal.read_bytes()[:-10])
    assert plan_repair(tmp_path, "s").damage == ()
    with open_writer(tmp_path) as writer:
        assert len(writer.rows) == 9


def test_readers_name_the_line_and_read_the_rest(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    damage_line(journal, 6)
    reader = TrialStore(tmp_path)
    assert reader.sql("select count(*) as n from reports")["n"].tolist() == [6]
    assert len(reader.trials("s")) == 2
    assert len(reader.starts()) == 1
    (problem,) = reader.problems
    assert f"{str(journal)!r} is damaged in line 6" in problem
    with pytest.raises(StoreCorruptError, match="the row with which the trial started is lost"):
        reader.read("s", whole=True)


def published(store: Path) -> None:
    with open_writer(store, policy=EACH_TRIAL) as writer:
        writer.append_many([event(), *whole_trial(0)])
        writer.append_many([event(), *whole_trial(1)])
        writer.append_many([event(), start(2), report(2, 1)])


def a_file(store: Path, table: str, index: int = 1) -> Path:
    return sorted((store / table / "study_slug=s-s").glob("*.parquet"))[index]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(bytes(data))


def spoil_params(path: Path) -> None:
    """Written anew by another program, with params that are none."""
    rows = pq.ParquetFile(path).read()
    index = rows.column_names.index("params")
    rows = rows.set_column(index, rows.schema.field(index), [['{"learning_rate":NaN}'] * rows.num_rows])
    pq.write_table(rows, path)


@pytest.mark.parametrize("damage", [cut, flip, spoil_params])
@pytest.mark.parametrize(("table", "kept", "lost"), [("starts", 10, (0,)), ("trials", 14, ())])
def test_a_damaged_published_file_is_refused_and_repaired(
    tmp_path: Path, damage: Callable[[Path], None], table: str, kept: int, lost: tuple[int, ...]
) -> None:
    published(tmp_path)  # 15 rows
    path = a_file(tmp_path, table)
    damage(path)
    damaged, before = path.read_bytes(), files_of(tmp_path)
    with pytest.raises(StoreCorruptError) as caught:
        open_writer(tmp_path)
    assert str(path) in str(caught.value)
    assert files_of(tmp_path) == before
    assert len(TrialStore(tmp_path).rows("s")) == 14
    done = repair_study(tmp_path, "s")
    assert (done.num_kept, done.lost_trials, done.num_missing) == (kept, lost, 1)
    assert damaged in [Path(name).read_bytes() for name in done.aside]
    with open_writer(tmp_path) as writer:
        assert len(writer.rows) == kept
        History.from_rows(writer.study, writer.rows)
    assert compact_study(tmp_path, "s").num_rows == kept
    plain = [pq.ParquetFile(p).metadata.num_rows for p in tmp_path.glob("*/study_slug=s-s/*.parquet")]
    assert sum(plain) == kept + 1  # the definition's


def test_a_file_that_somebody_moved_away_leaves_a_way_to_go_on(tmp_path: Path) -> None:
    published(tmp_path)
    a_file(tmp_path, "starts").unlink()
    with pytest.raises(StoreCorruptError, match="4 rows of trial 0 cannot be used"):
        open_writer(tmp_path)
    assert repair_study(tmp_path, "s").lost_trials == (0,)
    with open_writer(tmp_path) as writer:
        assert len(writer.rows) == 10


def test_a_row_that_is_none_behind_a_right_checksum_is_a_damaged_line(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    lines = journal.read_bytes().splitlines(keepends=True)
    rest = lines[4][len(b'{"crc32":"12345678",') :].replace(b'"objectives":"{}"', b'"objectives":"[]"')
    lines[4] = b'{"crc32":"%08x",%b' % (zlib.crc32(rest), rest)
    journal.write_bytes(b"".join(lines))
    assert TrialStore(tmp_path).problems == ()
    with pytest.raises(StoreCorruptError, match=r"line 5 .*objectives must be a JSON object"):
        open_writer(tmp_path)
    assert repair_study(tmp_path, "s").lost_rows == {"trials": 1}


def test_a_repair_killed_at_any_change_is_gone_on_with(tmp_path: Path) -> None:
    crash_at, died = 0, True
    while died:
        crash_at += 3
        store = tmp_path / str(crash_at)
        published(store)
        leave_dead(store, [trial(2), *whole_trial(3)])
        damage_line(next((store / "_wal" / "s-s").glob("*.jsonl")), 4)
        cut(a_file(store, "starts"))
        files = CrashingFiles(store, crash_at=crash_at)
        try:
            repair_study(files, "s")
            died = False
        except Crash:
            pass
        repair_study(store, "s")
        assert plan_repair(store, "s").damage == ()
        seqs = [row.seq for row in TrialStore(store).rows("s")]
        assert seqs == [1, *range(7, 19), 20, 21]  # 2 and 19 were damaged, 3 to 6 are of trial 0
        with open_writer(store) as writer:
            History.from_rows(writer.study, writer.rows)
    assert crash_at > 5


def test_a_study_that_is_written_is_not_repaired(tmp_path: Path) -> None:
    with open_writer(tmp_path), pytest.raises(StoreLockedError):
        repair_study(tmp_path, "s")


def test_an_unknown_study_lists_the_known_ones(tmp_path: Path) -> None:
    published(tmp_path)
    for act in (plan_repair, repair_study):
        with pytest.raises(UnknownNameError, match="known: s"):
            act(tmp_path, "nope")
    shutil.rmtree(tmp_path / "studies")
    with pytest.raises(UnknownNameError):
        plan_repair(tmp_path, "s")


def test_a_study_in_a_bucket_is_refused_and_repaired_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    url = f"memory://bucket/{secrets.token_hex(4)}"
    with open_writer(url, policy=EACH_TRIAL) as writer:
        writer.append_many(whole_trial(0))
    writer = open_writer(url, policy=NEVER)
    for row in whole_trial(1):
        writer.append(row)
    writer._lock.release()  # as if it had died
    files = ObjectFiles(url)
    (part,) = files._fs.glob(files._path("_wal/s-s/*.jsonl.000001"))  # the reports and the end
    files._fs.pipe_file(part, files._fs.cat_file(part).replace(b'"epoch":2', b'"epoch":3'))
    with pytest.raises(StoreCorruptError, match="is damaged in line 3"):
        open_writer(url)
    assert len(TrialStore(url).rows("s")) == 9
    done = repair_study(url, "s")
    assert (done.lost_rows, done.hurt_trials, done.num_kept) == ({"reports": 1}, (1,), 9)
    assert files.read(done.aside[0].removeprefix(f"{url}/")) is not None
    with open_writer(url) as again:
        assert [row.seq for row in again.rows] == [1, 2, 3, 4, 5, 6, 7, 9, 10]
