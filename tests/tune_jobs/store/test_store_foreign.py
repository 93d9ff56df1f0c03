"""Copies and other people's files in a store: each row counts once, and what is foreign is named and left."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from store_testing import (
    EACH_TRIAL,
    LATENCY,
    NEVER,
    event,
    forbidden_changes,
    leave_dead,
    make_study,
    open_writer,
    snapshot_of_tree,
    whole_trial,
)

from tune_jobs.errors import StoreCorruptError
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.format.definitions import read_definitions
from tune_jobs.store.latencies import append_latencies
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_into, compact_study
from tune_jobs.store.upkeep.deletion import delete_study
from tune_jobs.store.upkeep.recovery import KEEP_OLD_S
from tune_jobs.study.rows import Row

TABLES = ("starts", "reports", "trials", "events")
NUMBERS = {"starts": 4, "reports": 12, "trials": 4, "events": 1}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Study `s` with four trials: objectives 0, 0.01, 0.02, 0.03; and study `other` with one."""
    with open_writer(tmp_path, policy=EACH_TRIAL) as writer:
        for number in range(4):
            writer.append_many(whole_trial(number))
        writer.append(event())
    with open_writer(tmp_path, make_study("other")) as writer:
        writer.append_many(whole_trial(0, "other"))
    return tmp_path


def conflicted_files(store: Path) -> int:
    """What a synchronising program leaves beside each file."""
    paths = [
        path for path in store.glob("*/study_slug=s-s/*.parquet") if path.parts[-3] in (*TABLES, "studies")
    ]
    for path in paths:
        shutil.copy(path, path.with_name(f"{path.stem} (conflicted copy 2026-11-27).parquet"))
    return 5


def copied_folders(store: Path) -> int:
    for table in (*TABLES, "studies"):
        folder = store / table / "study_slug=s-s"
        shutil.copytree(folder, folder.with_name("study_slug=s-s (copy)"))
    return 5


def copied_folders_of_a_studys_name(store: Path) -> int:
    for table in TABLES:
        folder = store / table / "study_slug=s-s"
        shutil.copytree(folder, folder.with_name("study_slug=s-s-copy"))
    return sum(len(list((store / table / "study_slug=s-s").glob("*-0000*.parquet"))) for table in TABLES)


def copied_files_with_a_name_of_ours(store: Path) -> int:
    count = 0
    for table in TABLES:
        for path in sorted((store / table / "study_slug=s-s").glob("0*-0000*.parquet")):
            shutil.copy(path, path.with_name(path.name.replace("-00000", "-00001")))
            count += 1
    return count


def files_of_another_study(store: Path) -> int:
    count = 0
    for table in TABLES:
        for path in (store / table / "study_slug=s-other").glob("*-0000*.parquet"):
            shutil.copy(path, store / table / "study_slug=s-s")
            count += 1
    return count


COPIES = (
    conflicted_files,
    copied_folders,
    copied_folders_of_a_studys_name,
    copied_files_with_a_name_of_ours,
    files_of_another_study,
)


@pytest.mark.parametrize("copy", COPIES)
def test_each_row_counts_once_in_all_that_is_read(
    store: Path, copy: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = TrialStore(store).rows("s")
    problems = copy(store)  # type: ignore[operator]  # one of COPIES
    with forbidden_changes(monkeypatch):
        reader = TrialStore(store)
        assert reader.rows("s") == rows
        for table, number in NUMBERS.items():
            assert len(getattr(reader, table)("s")) == number
            answer = reader.sql(
                f"select count(*) as n, count(distinct seq) as d from {table} where study = 's'"
            )
            assert answer.to_dict("records") == [{"n": number, "d": number}]
        answer = reader.sql(
            "select avg(objective) as mean, stddev(objective) as sd from trials where study = 's'"
        )
    assert answer["mean"].tolist() == pytest.approx([0.015])
    assert answer["sd"].tolist() == pytest.approx([0.0129099], abs=1e-6)  # of 0, 0.01, 0.02, 0.03
    assert [*reader.studies()["study"]] == ["other", "s"]
    assert 0 < len(reader.problems) <= problems + 1


@pytest.mark.parametrize("copy", COPIES)
def test_a_run_goes_on_from_each_row_once_and_names_the_rest(
    store: Path, copy: object, caplog: pytest.LogCaptureFixture
) -> None:
    rows = TrialStore(store).rows("s")
    copy(store)  # type: ignore[operator]  # one of COPIES
    with open_writer(store) as writer:
        assert list(writer.rows) == rows
        assert writer.append(event()).seq == len(rows) + 1
    if copy not in (copied_folders, copied_folders_of_a_studys_name):  # which no run of study s looks into
        assert "left out: " in caplog.text


@pytest.mark.parametrize("copy", COPIES)
def test_a_compaction_keeps_each_row_once_and_what_is_foreign(
    store: Path, copy: object, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = TrialStore(store).rows("s")
    copy(store)  # type: ignore[operator]  # one of COPIES
    known = {path for path in store.rglob("*.parquet") if "copy" in str(path)}
    target = tmp_path_factory.mktemp("target")
    assert compact_into(store, "s", target).num_rows == len(rows)
    assert TrialStore(target).rows("s") == rows
    assert compact_study(store, "s").num_rows == len(rows)
    assert TrialStore(store).rows("s") == rows
    monkeypatch.setattr("tune_jobs.store.upkeep.recovery.KEEP_OLD_S", 0.0)
    open_writer(store).close()
    assert not (store / "_old" / "s-s").exists()
    assert {path for path in store.rglob("*.parquet") if "copy" in str(path)} == known


def test_a_compaction_that_was_killed_loses_no_foreign_file(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = store / "trials" / "study_slug=s-s" / "mine (copy).parquet"
    foreign.write_bytes(b"mine")
    compact_study(store, "s")
    (old,) = (path for path in (store / "_old" / "s-s").iterdir() if path.name.startswith("trials"))
    foreign.rename(old / foreign.name)  # as if it had died between the two
    monkeypatch.setattr("tune_jobs.store.upkeep.recovery.KEEP_OLD_S", 0.0)
    open_writer(store).close()
    assert KEEP_OLD_S > 0
    assert foreign.read_bytes() == b"mine"


def test_a_deletion_leaves_what_is_foreign_and_names_it(store: Path) -> None:
    conflicted_files(store)
    deleted = delete_study(store, "s")
    assert deleted.existed
    assert len(deleted.foreign) == 5
    left = [path for path in store.glob("*/study_slug=s-s/*.parquet") if "no-rows" not in path.name]
    assert left
    assert all("conflicted" in path.name for path in left)
    assert [*TrialStore(store).studies()["study"]] == ["other"]


def test_a_copied_definition_is_not_the_newest(store: Path) -> None:
    definition = store / "studies" / "study_slug=s-s" / "definition-1.parquet"
    shutil.copy(
        store / "studies" / "study_slug=s-other" / "definition-1.parquet",
        definition.with_name("definition-1 (1).parquet"),
    )
    found = read_definitions(LocalFiles(store))
    assert sorted(found.studies) == ["other", "s"]
    assert len(found.problems) == 1
    with open_writer(store) as writer:
        assert len(writer.rows) == 21


def test_a_copied_journal_counts_once_and_is_not_published(tmp_path: Path) -> None:
    rows: list[Row] = whole_trial(0)
    leave_dead(tmp_path, rows)
    (journal,) = (tmp_path / "_wal" / "s-s").glob("*.jsonl")
    copy = journal.with_name(f"{journal.stem} (copy).jsonl")
    shutil.copy(journal, copy)
    shutil.copy(journal, journal.with_name(journal.name.replace("-000001", "-000002")))
    reader = TrialStore(tmp_path)
    assert [row.seq for row in reader.rows("s")] == [1, 2, 3, 4, 5]
    assert reader.sql("select count(*) as n from reports")["n"].tolist() == [3]
    assert any(copy.name in problem for problem in reader.problems)
    with open_writer(tmp_path) as writer:
        assert [row.seq for row in writer.rows] == [1, 2, 3, 4, 5]
    assert copy.exists()
    assert TrialStore(tmp_path).sql("select count(*) as n from reports")["n"].tolist() == [3]


def test_a_journal_of_another_study_is_neither_read_nor_published_nor_removed(tmp_path: Path) -> None:
    leave_dead(tmp_path, whole_trial(0, "other"), make_study("other"))
    with open_writer(tmp_path, policy=NEVER) as writer:
        writer.append_many(whole_trial(0))
    (journal,) = (tmp_path / "_wal" / "s-other").glob("*.jsonl")
    copy = Path(shutil.copy(journal, tmp_path / "_wal" / "s-s"))
    assert len(TrialStore(tmp_path).rows("s")) == 5
    with open_writer(tmp_path) as writer:
        assert len(writer.rows) == 5
        assert "study 'other'" in writer.problems[0]
    assert copy.exists()
    assert len(TrialStore(tmp_path).trials("s")) == 1


def test_a_copied_file_of_latencies_counts_once(tmp_path: Path) -> None:
    file = append_latencies(tmp_path, [LATENCY, replace(LATENCY, mode="fp32/channels_last/eager")])
    assert file is not None
    shutil.copy(file, file.replace(".parquet", " (copy).parquet"))
    folder = Path(file).parent
    shutil.copytree(folder, folder.with_name("device_slug=d-cpu (copy)"))
    shutil.copytree(folder, folder.with_name("device_slug=d-cpu-copy"))
    store = TrialStore(tmp_path)
    assert len(store.latencies()) == 2
    assert store.sql("select count(*) as n from latencies")["n"].tolist() == [2]
    assert len(store.problems) == 4


def test_files_of_others_stay_as_they_are(store: Path) -> None:
    for copy in COPIES[:2]:
        copy(store)
    foreign = {name: size for name, size in snapshot_of_tree(store).items() if "cop" in name}
    TrialStore(store).sql("from trials")
    open_writer(store).close()
    compact_study(store, "s")
    delete_study(store, "s")
    assert {name: size for name, size in snapshot_of_tree(store).items() if "cop" in name} == foreign


def test_a_damaged_copy_under_our_own_name_is_damage(store: Path) -> None:
    path = next((store / "trials" / "study_slug=s-s").glob("*-000001.parquet"))
    shutil.copy(next((store / "reports" / "study_slug=s-s").glob("*-000001.parquet")), path)
    assert len(TrialStore(store).trials("s")) == 3
    with pytest.raises(StoreCorruptError, match="belongs to table 'reports'"):
        open_writer(store)
