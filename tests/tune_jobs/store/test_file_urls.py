"""A file URL names a folder, wherever a store is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_testing import ODD_NAMES, event, open_writer, trial

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.places import LocalPlace, place_of
from tune_jobs.session.settings import RunSettings
from tune_jobs.store.files.file_urls import as_folder
from tune_jobs.store.files.protocol import absolute, is_same_store, is_url, require_lasting_store
from tune_jobs.store.latencies import prepare_table
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.compact import compact_into, compact_study
from tune_jobs.store.upkeep.deletion import delete_study


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_url_of_a_folder_is_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    assert as_folder(folder.as_uri()) == str(folder)
    assert as_folder(str(folder)) == str(folder)


@pytest.mark.parametrize(
    "url", ["file:///a/b%20c", "FILE:///a/b c", "file://localhost/a/b%20c", "file:/a/b c", "local:///a/b c"]
)
def test_each_way_to_write_it_is_read(url: str) -> None:
    assert as_folder(url) == "/a/b c"
    assert absolute(url) == "/a/b c"
    assert not is_url(url)
    assert is_same_store(url, "/a/b c")
    require_lasting_store(url)
    place = place_of(url, "checkpoints/s")
    assert isinstance(place, LocalPlace)
    assert place.store == Path("/a/b c")
    assert RunSettings(store=url).store == "/a/b c"


@pytest.mark.parametrize("text", ["trials", "/a/b", "s3://bucket/a%20b", "file", "files:///a", "file:a"])
def test_any_other_text_stays(text: str) -> None:
    assert as_folder(text) == text


@pytest.mark.parametrize("url", ["file://host/a", "file://", "file://a", "local://a/b", "file:///a%00b"])
def test_a_url_of_no_folder_here_is_refused(url: str) -> None:
    for take in (as_folder, open_writer, TrialStore, lambda store: RunSettings(store=store)):
        with pytest.raises(InvalidValueError, match="file:///FOLDER with three slashes"):
            take(url)


def test_a_store_is_made_read_and_changed_by_its_url(tmp_path: Path) -> None:
    url = (tmp_path / "with space").as_uri()
    with open_writer(url) as writer:
        writer.append_many([event(), trial(0)])
    assert (tmp_path / "with space" / "trials").is_dir()
    store = TrialStore(url)
    assert store.path == tmp_path / "with space"
    assert list(store.sql("select number from trials")["number"]) == [0]
    prepare_table(url)
    assert compact_study(url, "s").num_rows == 2
    assert compact_into(url, "s", (tmp_path / "copy").as_uri()).num_rows == 2
    assert TrialStore(tmp_path / "copy").count_trials("s") == 1
    assert not delete_study(url, "s").failed
    assert not len(TrialStore(url).studies())
