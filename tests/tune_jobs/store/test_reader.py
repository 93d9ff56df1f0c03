"""What `TrialStore` shows: every acknowledged row, typed, from living, dead, damaged and read-only stores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_testing import (
    NEVER,
    NOON,
    forbidden_changes,
    make_study,
    open_writer,
    report,
    snapshot_of_tree,
    start,
    trial,
    whole_trial,
)

from eml_models.errors import UnknownNameError
from tune_jobs.errors import StoreError
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.parameters import Float
from tune_jobs.study.rows import Failure, State


def a_segment(store: Path, table: str) -> Path:
    return next(p for p in sorted((store / table / "study_slug=s-s").iterdir()) if "no-rows" not in p.name)


def test_frames_hold_published_and_journalled_rows_once(store: Path) -> None:
    reader = TrialStore(store)
    assert reader.path == store
    assert reader.trials()[["study", "number"]].to_numpy().tolist() == [
        ["other", 0],
        ["other", 1],
        ["s", 0],
        ["s", 1],
    ]
    assert reader.trials("s")["seq"].tolist() == [5, 10]
    assert len(reader.reports("s")) == 6
    assert len(reader.starts()) == 4
    assert len(reader.events("other")) == 1
    assert [row.seq for row in reader.rows("s")] == list(range(1, 12))
    assert TrialStore(store).rows("s") == reader.rows("s")
    assert reader.problems == ()


def test_a_row_in_both_journal_and_segment_counts_once(store: Path) -> None:
    """A writer that was killed between publishing and removing its journal."""
    living = store / "_wal" / "s-s"
    journal = next(living.glob("*.jsonl"))
    kept = journal.read_bytes()
    open_writer(store).close()
    (living / journal.name).write_bytes(kept)
    reader = TrialStore(store)
    assert reader.trials("s")["seq"].tolist() == [5, 10]
    assert reader.sql("select count(*) as n from reports where study = 's'")["n"].tolist() == [6]


def test_a_reader_sees_new_rows_without_being_opened_again(store: Path) -> None:
    reader = TrialStore(store)
    with open_writer(store) as writer:
        for number in (2, 3):
            writer.append_many(whole_trial(number))
            assert len(reader.trials("s")) == number + 1
            assert reader.sql("select count(*) as n from trials where study = 's'")["n"].tolist() == [
                number + 1
            ]
    assert len(reader.trials("s")) == 4


class WritingMeanwhile(LocalFiles):
    """Files on which the writer works at the n-th look of a reader."""

    def __init__(self, root: Path, work: Callable[[], None], *, at: int) -> None:
        super().__init__(root)
        self.work, self.left = work, at

    def look(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.work()

    def list_names(self, folder: str) -> list[str]:
        self.look()
        return super().list_names(folder)

    def read(self, key: str) -> bytes | None:
        self.look()
        return super().read(key)


def read_while_writing(store: Path, *, before: int, meanwhile: int, at: int) -> bool:
    """Read a history of `before` unpublished trials and check it; False if the reader looked fewer than `at`
    times.

    At that look the writer appends `meanwhile` trials (two fill a batch), and publishes where they are odd in
    number.
    """
    seconds = 0.0

    def work() -> None:
        nonlocal seconds
        for number in range(meanwhile):
            writer.append_many(whole_trial(10 + number))
        if meanwhile % 2 == 1:
            seconds += 2.0
        writer.publish_if_due()

    policy = PublishPolicy(trials=2, seconds=1.0)
    with open_writer(store) as writer:
        writer.append_many(whole_trial(0))
    with open_writer(store, policy=policy, elapsed=lambda: seconds) as writer:
        for number in range(before):
            writer.append_many(whole_trial(1 + number))
        files = WritingMeanwhile(store, work, at=at)
        seqs = [row.seq for row in TrialStore(files).rows("s")]
    assert seqs == list(range(1, len(seqs) + 1)), at
    assert len(seqs) >= 5 * (1 + before), at
    return files.left <= 0


@pytest.mark.parametrize(("before", "meanwhile"), [(1, 0), (1, 3), (1, 4), (2, 1)])
def test_a_reader_sees_a_history_without_gaps_while_the_writer_works(
    tmp_path: Path, before: int, meanwhile: int
) -> None:
    at = 1
    while read_while_writing(tmp_path / str(at), before=before, meanwhile=meanwhile, at=at):
        at += 1
    assert at > 8


def test_types_of_a_frame_follow_from_the_schema_not_from_the_values(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        empty = TrialStore(tmp_path).trials()
        writer.append(trial(0, macs=2**53 + 1))
        full = TrialStore(tmp_path).trials()
        writer.append(trial(1, state=State.FAILED, failure=Failure.RAISED, reason="x", objective=None))
        mixed = TrialStore(tmp_path).trials()
    assert list(empty.columns) == [*SCHEMAS["trials"].names, "param_my_list", "param_my_own"]
    assert empty.dtypes.to_dict() == full.dtypes.to_dict() == mixed.dtypes.to_dict()
    assert full["macs"].tolist() == [2**53 + 1]
    kinds = {name: str(mixed[name].dtype) for name in ("seq", "macs", "git_dirty", "objective", "ended_at")}
    assert kinds == {
        "seq": "int64",
        "macs": "Int64",
        "git_dirty": "boolean",
        "objective": "float64",
        "ended_at": "datetime64[us]",
    }
    assert mixed["macs"].isna().tolist() == [False, True]
    assert mixed["ended_at"].tolist() == [pd.Timestamp(NOON).tz_localize(None)] * 2


def test_parameters_of_own_spaces_are_typed_columns(store: Path) -> None:
    reader = TrialStore(store)
    for frame in (reader.trials("s"), reader.starts("s"), reader.sql("from trials where study = 's'")):
        assert frame["param_my_own"].tolist() == [0.25, 0.25]
        assert [list(value) for value in frame["param_my_list"]] == [[1, 2], [1, 2]]
        assert frame["param_learning_rate"].tolist() == [0.01, 0.01]
        assert frame["param_momentum"].isna().all()
    with open_writer(store, make_study("third", Float("more", 0, 1))) as writer:
        writer.append(start(0, "third", more=0.5))
    assert "param_more" not in reader.starts("s").columns
    assert reader.starts()["param_more"].tolist()[-1] == 0.5


def test_an_unknown_study_lists_the_known_ones_nearest_first(store: Path) -> None:
    reader = TrialStore(store)
    for ask in (reader.trials, reader.rows, reader.definition):
        with pytest.raises(UnknownNameError, match="unknown study 'othr'; known: other, s"):
            ask("othr")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.write_text("x"), "a store is a folder, and this is a file"),
        (lambda path: path.mkdir(), "the folder has no studies/"),
    ],
)
def test_what_is_no_store_is_refused(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "x")
    with pytest.raises(StoreError) as caught:
        TrialStore(tmp_path / "x")
    assert message in str(caught.value)
    assert "run a study with --store to make a store" in str(caught.value)


def test_reading_changes_nothing_and_needs_no_right_to(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot_of_tree(store)
    with forbidden_changes(monkeypatch):
        reader = TrialStore(store)
        assert len(reader.trials()) == 4
        assert len(reader.rows("s")) == 11
        assert len(reader.sql("from trials")) == 4
        assert len(reader.studies()) == 2
    assert snapshot_of_tree(store) == before


def damage_footer(segment: Path) -> None:
    segment.write_bytes(segment.read_bytes()[:-50])


def damage_page(segment: Path) -> None:
    """One bit in the middle of the data; the footer stays whole."""
    data = bytearray(segment.read_bytes())
    metadata = pq.read_metadata(segment)
    column = metadata.row_group(0).column(metadata.num_columns // 2)
    data[column.data_page_offset + column.total_compressed_size - 3] ^= 0x10
    segment.write_bytes(bytes(data))


def replace_by_foreign(segment: Path) -> None:
    pq.write_table(pa.table({"study": ["s"], "seq": [1]}), segment)


def replace_by_other_table(segment: Path) -> None:
    other = "events" if "reports" in str(segment) else "reports"
    shutil.copy(next((segment.parents[2] / other / "study_slug=s-s").iterdir()), segment)


@pytest.mark.parametrize("damage", [damage_footer, damage_page, replace_by_foreign, replace_by_other_table])
@pytest.mark.parametrize("table", ["trials", "reports"])
def test_a_damaged_segment_is_named_and_the_rest_is_read(
    store: Path, damage: Any, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    segment = a_segment(store, table)
    rows_lost = pq.read_metadata(segment).num_rows
    damage(segment)
    lengths = {"trials": 4, "reports": 12}
    lengths[table] -= rows_lost
    reader = TrialStore(store)
    assert {name: len(getattr(reader, name)()) for name in lengths} == lengths
    (problem,) = reader.problems
    assert str(segment) in problem
    assert caplog.text.count(str(segment)) == 1
    assert {name: len(TrialStore(store).sql(f"from {name}")) for name in lengths} == lengths
    assert len(TrialStore(store).rows("s")) == 11 - rows_lost


def test_a_store_without_rows_gives_empty_frames(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    reader = TrialStore(tmp_path)
    for frame in (
        reader.trials(),
        reader.reports("s"),
        reader.starts(),
        reader.events(),
        reader.sql("from trials"),
    ):
        assert len(frame) == 0
        assert "seq" in frame.columns
    assert reader.rows("s") == []


def test_reports_of_a_trial_are_seen_with_it(tmp_path: Path) -> None:
    with open_writer(tmp_path, policy=NEVER) as writer:
        writer.append(start(0))
        for epoch in (1, 2):
            writer.append(report(0, epoch))
        writer.append(trial(0))
        joined = TrialStore(tmp_path).sql("select count(*) as n from trials join reports using (trial_id)")
        assert joined["n"].tolist() == [2]
