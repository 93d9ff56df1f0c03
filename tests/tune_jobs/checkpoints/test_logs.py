"""Logs of attempts in a folder and in a bucket: a file for each attempt that printed, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from bucket_testing import bucket_away, moody_url

from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.logs import Logs


@pytest.fixture(params=["folder", "bucket"])
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Logs:
    return Logs(store=str(tmp_path) if request.param == "folder" else moody_url(), study="study")


def test_each_attempt_has_its_own_log(logs: Logs) -> None:
    logs.write(3, 1, "first\n")
    logs.write(3, 2, "second\n")
    logs.write(3, 2, "second\nand more \udcff\n")
    logs.write(4, 1, "of another trial\n")
    assert logs.read(3, 1) == "first\n"
    assert logs.read(3, 2) == "second\nand more ?\n"
    assert logs.attempts(3) == [1, 2]


def test_an_attempt_that_printed_nothing_has_no_log(logs: Logs) -> None:
    assert logs.read(3, 1) is None
    assert logs.attempts(3) == []
    assert list(logs.tail(3, 1, num_lines=5)) == []


def test_a_tail_is_its_last_lines(logs: Logs) -> None:
    logs.write(0, 1, "one\ntwo\n\nthree\n")
    assert list(logs.tail(0, 1, num_lines=2)) == ["two", "three"]


def test_the_end_of_a_log_is_its_last_bytes(logs: Logs) -> None:
    logs.write(0, 1, "0123456789")
    logs.write(0, 3, "")
    assert logs.end(0, 1, most=4) == b"6789"
    assert logs.end(0, 1, most=10) == logs.end(0, 1, most=5 << 20) == b"0123456789"
    assert logs.end(0, 3, most=4) == b""
    assert logs.end(0, 2, most=4) is None
    assert logs.end(7, 1, most=4) is None
    assert logs.sizes(0) == {1: 10, 3: 0}


def test_no_link_in_the_place_of_a_log_is_followed(tmp_path: Path) -> None:
    logs = Logs(store=str(tmp_path / "store"), study="study")
    logs.write(0, 1, "text")
    secret = tmp_path / "secret"
    secret.write_text("of somebody else")
    (tmp_path / "store" / "logs" / "study" / "0" / "attempt-2.log").symlink_to(secret)
    assert logs.attempts(0) == [1]
    with pytest.raises(OSError, match="symbolic links"):
        logs.end(0, 2, most=100)


def test_all_logs_of_a_study_are_removed_and_nothing_else(logs: Logs) -> None:
    other = Logs(store=logs.store, study="other")
    for number in (0, 11):
        logs.write(number, 1, "text")
        other.write(number, 1, "text")
    assert logs.remove_all().num_files == 2
    assert logs.read(11, 1) is None
    assert other.read(11, 1) == "text"
    done = logs.remove_all()
    assert (done.num_files, done.foreign, done.failed) == (0, (), ())


def test_foreign_files_stay_and_are_named(tmp_path: Path) -> None:
    logs = Logs(store=str(tmp_path), study="study")
    logs.write(0, 1, "text")
    folder = tmp_path / "logs" / "study" / "0"
    (folder / "notes.txt").write_text("mine")
    (folder / f".attempt-1.log.{'0' * 32}.tmp").write_text("half of a killed worker's")
    done = logs.remove_all()
    assert done.num_files == 2
    assert "notes.txt was not made by this store" in done.foreign[0]
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "store" / "logs").mkdir(parents=True)
    (tmp_path / "store" / "logs" / "study").symlink_to(elsewhere)
    logs = Logs(store=str(tmp_path / "store"), study="study")
    with pytest.raises(OSError, match="is a link"):
        logs.write(0, 1, "text")
    assert list(elsewhere.iterdir()) == []


def test_logs_are_no_checkpoints(tmp_path: Path) -> None:
    Logs(store=str(tmp_path), study="study").write(0, 1, "text")
    checkpoints = Checkpoints(store=str(tmp_path), study="study")
    assert checkpoints.numbers() == []
    assert checkpoints.remove_all().num_files == 0


def test_a_store_out_of_reach_has_no_tail() -> None:
    logs = Logs(store=moody_url(), study="study")
    logs.write(0, 1, "text")
    with bucket_away():
        assert list(logs.tail(0, 1, num_lines=5)) == []
        with pytest.raises(OSError, match="could not connect"):
            logs.write(0, 1, "more")
