"""The lock of a folder: one holder at a time, free again after an error, and only for its own name."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from eml_models.data.folder_lock import one_at_a_time

pytest.importorskip("fcntl")


def test_a_second_holder_waits_until_the_first_is_done(tmp_path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with one_at_a_time(tmp_path / "new", "mnist"):
            entered.set()

    thread = threading.Thread(target=enter, daemon=True)
    with one_at_a_time(tmp_path / "new", "mnist"):
        thread.start()
        assert not entered.wait(0.2)
    thread.join()
    assert entered.is_set()


def test_another_name_does_not_wait(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path, "mnist"), one_at_a_time(tmp_path, "cifar10"):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".cifar10.lock", ".mnist.lock"]


def test_an_error_frees_the_lock_and_leaves_its_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), one_at_a_time(tmp_path, "mnist"):
        raise OSError("full")
    with one_at_a_time(tmp_path, "mnist"):
        assert (tmp_path / ".mnist.lock").exists()
