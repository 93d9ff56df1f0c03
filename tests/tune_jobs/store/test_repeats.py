"""A row that several files hold counts once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from store_testing import open_writer, whole_trial

from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.format.layout import segment_key
from tune_jobs.store.format.listing import list_published
from tune_jobs.store.format.repeats import each_once
from tune_jobs.store.format.segments import open_segment


def test_rows_of_a_copy_under_a_name_of_our_own_count_once(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many(whole_trial(0))
    folder = tmp_path / "reports" / "study_slug=s-s"
    path = next(folder.glob("*-000001.parquet"))
    copy = path.with_name(path.name.replace("-000001", "-000002"))
    copy.write_bytes(path.read_bytes())
    files, problems = LocalFiles(tmp_path), []
    opened = [
        open_segment(files, f"reports/study_slug=s-s/{one.name}", "reports", study="s")
        for one in (path, copy)
    ]
    kept, fresh = each_once(files, opened, (), problems)
    assert [segment.num_rows for segment in kept] == [3, 0]
    assert fresh == []
    assert problems[0].startswith(f"3 of 3 rows of {str(copy)!r} are in an earlier file too")


def test_rows_of_a_journal_that_are_published_count_once(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        stored = writer.append_many(whole_trial(0))
    name = next((tmp_path / "reports" / "study_slug=s-s").glob("*-000001.parquet")).name
    files, problems = LocalFiles(tmp_path), []
    segment = open_segment(files, f"reports/study_slug=s-s/{name}", "reports", study="s")
    new = replace(stored[3], epoch=4, seq=9)
    _, fresh = each_once(files, [segment], [*stored[1:4], new, new], problems)
    assert fresh == [new]
    assert problems == ["4 rows of a journal are in another file too, and count once"]


def test_files_that_follow_each_other_are_not_read(tmp_path: Path) -> None:
    for number in range(3):
        with open_writer(tmp_path) as writer:
            writer.append_many(whole_trial(number))
    files, problems = LocalFiles(tmp_path), []
    names = list_published(files, "reports", "s").names
    opened = [open_segment(files, segment_key("reports", "s", name), "reports") for name in names]
    for path in (tmp_path / "reports").rglob("*.parquet"):
        path.unlink()
    kept, _ = each_once(files, opened, (), problems)
    assert (kept, problems) == (opened, [])
