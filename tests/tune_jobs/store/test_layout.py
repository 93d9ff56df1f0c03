"""Names of folders and files, as documented, and which of them the store knows as its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from store_testing import (
    event,
    journals,
    open_writer,
    whole_trial,
)

from tune_jobs.store.format.layout import (
    NO_ROWS,
    batch_name,
    compacted_name,
    is_batch,
    is_definition,
    is_latencies,
    is_published,
    latency_key,
    new_writer,
    old_key,
    replaced_at,
    replaced_table,
    study_of_folder,
    table_folder,
)


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


INSTANT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("study", ["s", "other.study-1", "a_b"])
def test_a_folder_names_its_study_and_a_foreign_folder_names_none(study: str) -> None:
    folder = table_folder("trials", study).rpartition("/")[2]
    assert study_of_folder(folder) == study
    for foreign in (study, f"study={study}", f"{folder} (copy)", folder.upper()):
        assert study_of_folder(foreign) is None


def test_names_that_the_store_gives_are_known_as_its_own() -> None:
    batch = batch_name(new_writer(7), 3)
    assert is_batch(batch)
    for name in (batch, NO_ROWS, compacted_name("0123abcd", 2)):
        assert is_published(name)
        assert not is_published(f"{name} (conflicted copy)")
    assert is_definition("definition-12")
    assert not is_definition("definition-0")
    latencies = latency_key("cuda:0", INSTANT, "0a1b").rpartition("/")[2]
    assert is_latencies(latencies.removesuffix(".parquet"))


def test_batches_sort_in_the_order_of_their_rows() -> None:
    writers = [new_writer(seq) for seq in (1, 99, 12345)]
    names = [batch_name(writer, number) for writer in writers for number in (1, 2, 10)]
    assert sorted(names) == names
    assert compacted_name("0123abcd", 0) < names[0]


def test_a_folder_that_a_compaction_moved_aside_names_its_table_and_instant() -> None:
    name = old_key("trials", "s", INSTANT).rpartition("/")[2]
    assert (replaced_table(name), replaced_at(name)) == ("trials", INSTANT)
    assert replaced_table("trials") is None
    assert replaced_at("trials-ffffffffffff-0") > INSTANT
