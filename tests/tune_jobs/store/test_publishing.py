"""Batches become files, table by table, each whole when it appears."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset as pads
import pytest
from store_testing import (
    event,
    open_writer,
    report,
    snapshot_of_tree,
    start,
    trial,
    whole_trial,
)

from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.format.layout import batch_name, new_writer, scratch_folder, segment_key
from tune_jobs.store.format.publishing import make_tables, publish
from tune_jobs.testing.rows import numbered


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


def test_publishing_again_writes_nothing_new_and_mends_what_is_damaged(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    files.make_folder(scratch_folder("s"))
    make_tables(files, "s")
    rows = numbered(*whole_trial(0))
    batch = batch_name(new_writer(1), 1)
    publish(files, "s", batch, rows)
    before = snapshot_of_tree(tmp_path)
    publish(files, "s", batch, rows)
    assert snapshot_of_tree(tmp_path) == before
    damaged = tmp_path / segment_key("trials", "s", batch)
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    publish(files, "s", batch, rows)
    assert damaged.read_bytes() == whole


def test_a_table_of_a_new_study_has_a_file_without_rows(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    files.make_folder(scratch_folder("s"))
    make_tables(files, "s")
    for table in ("starts", "reports", "trials", "events"):
        assert pads.dataset(tmp_path / table).to_table().num_rows == 0
