"""A deleted study leaves no row, and no foreign file is deleted with it."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pyarrow.dataset as pads
import pytest
from store_testing import make_study, open_writer, whole_trial

from tune_jobs.errors import StoreLockedError
from tune_jobs.store.files.real_folders import Removal
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.upkeep.deletion import delete_study


def test_delete_leaves_no_row(s3_store: str) -> None:
    with open_writer(s3_store) as writer:
        writer.append_many(whole_trial(0))
    assert delete_study(s3_store, "s").existed
    assert len(TrialStore(s3_store).studies()) == 0
    assert pads.dataset(f"{s3_store[5:]}/trials", filesystem=fsspec.filesystem("s3")).count_rows() == 0
    with open_writer(s3_store, make_study()) as writer:
        assert writer.rows == []


def test_a_study_goes_with_its_weights_and_its_neighbour_stays(tmp_path: Path) -> None:
    for study in (make_study(), make_study("t")):
        with open_writer(tmp_path, study) as writer:
            writer.append_many(whole_trial(0, study.name))
    deleted = delete_study(tmp_path, "s", first=lambda: Removal(num_files=3, foreign=("notes.txt",)))
    assert deleted.existed
    assert (deleted.num_files > 3, deleted.foreign, deleted.failed) == (True, ("notes.txt",), ())
    store = TrialStore(tmp_path)
    assert list(store.studies()["study"]) == ["t"]
    assert store.count_trials("t") == 1


def test_a_deletion_whose_weights_stay_is_not_complete_and_can_be_repeated(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many(whole_trial(0))
    failed = delete_study(tmp_path, "s", first=lambda: Removal(failed=("weights: busy",)))
    assert failed.failed == ("weights: busy",)
    assert list(TrialStore(tmp_path).studies()["study"]) == ["s"]
    assert not delete_study(tmp_path, "s").failed
    assert not len(TrialStore(tmp_path).studies())


def test_a_study_that_is_written_is_not_deleted(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.append_many(whole_trial(0))
        with pytest.raises(StoreLockedError):
            delete_study(tmp_path, "s")
    assert TrialStore(tmp_path).count_trials("s") == 1
