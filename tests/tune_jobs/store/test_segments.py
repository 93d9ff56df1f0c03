"""A published file is opened whole, of this version and table, or with an error that names it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from store_testing import mark, open_writer, trial, whole_trial

from tune_jobs.errors import ForeignSegmentError, SegmentGoneError, StoreCorruptError
from tune_jobs.store.columns.convert import rows_to_arrow
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.format.publishing import parquet_bytes
from tune_jobs.store.format.segments import open_segment
from tune_jobs.testing.rows import numbered

BY_TABLE = {"trials": numbered(trial(0), trial(1))}


@pytest.mark.parametrize("name", ["study", "seq", "objective", "params"])
def test_a_file_with_a_renamed_column_is_refused(tmp_path: Path, name: str) -> None:
    whole = rows_to_arrow("trials", BY_TABLE["trials"])
    names = [f"{n}X" if n == name else n for n in whole.column_names]
    schema = mark("trials")
    path = tmp_path / "file.parquet"
    pq.write_table(whole.rename_columns(names).replace_schema_metadata(schema), path)
    with pytest.raises(StoreCorruptError, match=rf"missing: {name}\)"):
        open_segment(LocalFiles(tmp_path), "file.parquet", "trials", study="s")


@pytest.mark.parametrize("version", ["", "three", "\x80"])
def test_a_file_that_says_no_version_is_refused(tmp_path: Path, version: str) -> None:
    whole = rows_to_arrow("trials", BY_TABLE["trials"])
    pq.write_table(whole.replace_schema_metadata(mark("trials", version)), tmp_path / "file.parquet")
    with pytest.raises(StoreCorruptError, match="must name the version of its columns, got"):
        open_segment(LocalFiles(tmp_path), "file.parquet", "trials", study="s")


def test_a_sealed_file_is_opened_without_its_rows(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many(whole_trial(0))
    path = next((tmp_path / "reports" / "study_slug=s-s").glob("*-000001.parquet"))
    key = str(path.relative_to(tmp_path))
    segment = open_segment(LocalFiles(tmp_path), key, "reports", study="s")
    assert (segment.rows, segment.num_rows, segment.seq_range(), segment.name) == (None, 3, (2, 4), path.stem)
    assert segment.problems == ()
    with pytest.raises(StoreCorruptError, match="belongs to table 'reports'; move it out of trials/"):
        open_segment(LocalFiles(tmp_path), key, "trials", study="s")
    with pytest.raises(ForeignSegmentError, match="holds rows of study 's' in the folder of study 't'"):
        open_segment(LocalFiles(tmp_path), key, "reports", study="t")


def test_a_file_that_is_gone_or_cut_is_an_error_that_names_it(tmp_path: Path) -> None:
    data = parquet_bytes("trials", rows_to_arrow("trials", BY_TABLE["trials"]))
    (tmp_path / "cut.parquet").write_bytes(data[:-9])
    files = LocalFiles(tmp_path)
    with pytest.raises(StoreCorruptError, match=r"cut\.parquet' cannot be read"):
        open_segment(files, "cut.parquet", "trials")
    with pytest.raises(SegmentGoneError, match=r"none\.parquet' is gone"):
        open_segment(files, "none.parquet", "trials")
