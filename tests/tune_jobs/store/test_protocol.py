"""A store named by a path or a URL: opened, compared with another, and refused where it cannot last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from store_testing import (
    ODD_NAMES,
    open_writer,
    whole_trial,
)

from eml_models.errors import InvalidValueError
from tune_jobs.errors import StoreError
from tune_jobs.store.files.protocol import absolute, is_same_store, open_files, require_lasting_store
from tune_jobs.store.reader import TrialStore

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_relative_store_is_refused_and_a_lasting_one_is_not() -> None:
    with pytest.raises(
        InvalidValueError, match="'trials' is a relative path, and the working folder of a job is removed"
    ):
        require_lasting_store("trials")
    require_lasting_store("/shared/trials")
    require_lasting_store("s3://bucket/trials")


def test_a_store_without_a_name_is_refused() -> None:
    with pytest.raises(StoreError, match="a store is a folder or a bucket, got an empty path"):
        open_writer("")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_path_can_be_a_store(tmp_path: Path, name: str) -> None:
    store = tmp_path / name / "deep"
    with open_writer(store) as writer:
        writer.append_many(whole_trial(0))
        assert len(TrialStore(store).trials()) == 1
    assert len(TrialStore(store).sql("from reports")) == 3
    assert len(TrialStore(store).rows("s")) == 5


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("trials", "./trials/", True),
        ("trials", "trials2", False),
        ("s3://bucket/trials", "s3://bucket/trials/", True),
        ("s3://bucket/trials", "trials", False),
    ],
)
def test_two_texts_may_name_one_store(one: str, other: str, same: bool) -> None:
    assert is_same_store(one, other) is same


def test_a_link_to_a_store_is_the_same_store(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert is_same_store(str(tmp_path / "link"), str(tmp_path / "real"))


def test_a_path_opens_a_folder_and_a_url_a_bucket(tmp_path: Path) -> None:
    folder, bucket = open_files(tmp_path), open_files("memory://bucket/trials")
    assert (folder.has_folders, bucket.has_folders) == (True, False)
    assert open_files(folder) is folder
    assert absolute("s3://bucket/trials") == "s3://bucket/trials"
    assert absolute("trials") == str(Path.cwd() / "trials")


@pytest.mark.parametrize("given", [None, 5, ["trials"]])
def test_what_is_no_place_is_refused(given: Any) -> None:
    with pytest.raises(InvalidValueError, match="a store is a folder, as a text or a path, or a URL, got "):
        open_files(given)
