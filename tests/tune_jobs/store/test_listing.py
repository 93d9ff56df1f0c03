"""The store lists its own files and names foreign files beside them."""

from __future__ import annotations

from pathlib import Path

from store_testing import (
    make_study,
    open_writer,
    whole_trial,
)

from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.format.listing import list_published, list_studies
from tune_jobs.store.reader import TrialStore


def test_files_of_others_beside_the_segments_do_no_harm(store: Path) -> None:
    (store / "trials" / "README.txt").write_text("hello")
    (store / "trials" / "study_slug=s-s" / ".hidden").write_text("hello")
    (store / "trials" / "folder").mkdir()
    (store / "_wal" / "s-s" / "notes.txt").write_text("hello")
    reader = TrialStore(store)
    assert len(reader.trials()) == 4
    assert reader.problems == ()


def test_own_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many(whole_trial(0))
    files = LocalFiles(tmp_path)
    whole = list_published(files, "trials", "s")
    assert (len(whole.names), whole.foreign, whole.problems(files)) == (2, (), [])
    folder = tmp_path / whole.folder
    for number in range(5):
        (folder / f"copy {number}.parquet").touch()
    (folder / "notes.txt").touch()
    found = list_published(files, "trials", "s")
    assert found.names == whole.names
    assert found.foreign == tuple(f"copy {number}.parquet" for number in range(5))
    (problem,) = found.problems(files)
    assert str(folder / "copy 0.parquet") in problem
    assert "and 2 more have names that this store gives to no file of its own" in problem


def test_studies_are_found_by_their_folders(tmp_path: Path) -> None:
    for study in ("b", "a"):
        open_writer(tmp_path, make_study(study)).close()
    (tmp_path / "trials" / "study_slug=s-Not a name").mkdir()
    (tmp_path / "trials" / "elsewhere").mkdir()
    found = list_studies(LocalFiles(tmp_path), "trials")
    assert (found.names, found.foreign) == (("a", "b"), ("study_slug=s-Not a name",))
    assert list_studies(LocalFiles(tmp_path / "nowhere"), "trials").names == ()
