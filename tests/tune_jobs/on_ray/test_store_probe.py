"""A worker knows the driver's store, or says why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bucket_testing import bucket_away, moody_url
from session_testing import a_study

from tune_jobs.errors import StoreError
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.store.writer import StudyWriter


def test_worker_that_sees_the_store_leaves_no_trace(tmp_path: Path) -> None:
    probe = StoreProbe.leave(str(tmp_path), "study")
    probe.check()
    probe.remove()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_store_that_only_the_driver_sees_is_refused_with_the_reason(tmp_path: Path) -> None:
    probe = StoreProbe.leave(str(tmp_path), "study")
    probe.remove()  # another machine has a folder of this name, and not this file
    with pytest.raises(StoreError, match=r"does not see the driver's store .* every node mounts"):
        probe.check()


def test_another_store_of_that_name_is_refused(tmp_path: Path) -> None:
    probe = StoreProbe.leave(str(tmp_path), "study")
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.write_text("of somebody else")
    with pytest.raises(StoreError, match="sees another store"):
        probe.check()


def test_store_that_workers_cannot_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = StoreProbe.leave(str(tmp_path), "study")

    def refuse(self: Path, text: str) -> int:
        raise PermissionError(13, os.strerror(13), str(self))

    monkeypatch.setattr(Path, "write_text", refuse)  # root, as whom tests may run, may write anywhere
    with pytest.raises(StoreError, match=r"may not write to it: .*Permission denied.*the same user"):
        probe.check()
    with pytest.raises(StoreError, match="cannot write to the store"):
        StoreProbe.leave(str(tmp_path), "study")


def test_bucket_is_checked_the_same_way(s3_store: str) -> None:
    probe = StoreProbe.leave(s3_store, "study")
    probe.check()
    probe.remove()
    with pytest.raises(StoreError, match="does not see the driver's store"):
        probe.check()


def test_file_of_a_killed_driver_goes_with_the_next_one(tmp_path: Path) -> None:
    study = a_study()
    StudyWriter.open(tmp_path, study, versions={}).close()
    StoreProbe.leave(str(tmp_path), study.name)
    with StudyWriter.open(tmp_path, study, versions={}):
        assert [path for path in tmp_path.rglob("*") if "probe" in path.name] == []
        probe = StoreProbe.leave(str(tmp_path), study.name)
        probe.check()


def test_bucket_that_is_not_there_is_said_and_hides_no_other_error() -> None:
    probe = StoreProbe.leave(moody_url(), "study")
    with bucket_away():
        with pytest.raises(StoreError, match=r"does not see the driver's store .*NotThereError: could not c"):
            probe.check()
        with pytest.raises(StoreError, match="cannot write to the store"):
            StoreProbe.leave(moody_url(), "study")
        probe.remove()
    probe.check()
