"""Two folders are exchanged in one step, or not at all."""

from __future__ import annotations

import ctypes
import errno
from pathlib import Path

import pytest

from tune_jobs.store.files import swapping
from tune_jobs.store.files.swapping import swap_paths


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with a file each."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / f"of {folder.name}").touch()
    return one, other


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_folders_take_each_others_place(pair: tuple[Path, Path]) -> None:
    one, other = pair
    if not swap_paths(one, other):
        pytest.skip("this file system has no such step")
    assert (names(one), names(other)) == (["of other"], ["of one"])


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EXDEV])
def test_a_file_system_without_the_step_changes_nothing(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(one: bytes, other: bytes) -> int:
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(swapping, "_system_call", lambda: fail)
    assert not swap_paths(*pair)
    assert names(pair[0]) == ["of one"]


def test_a_system_without_the_call_changes_nothing(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swapping, "_system_call", lambda: None)
    assert not swap_paths(*pair)


def test_a_missing_folder_is_an_error(pair: tuple[Path, Path], tmp_path: Path) -> None:
    if not swap_paths(*pair):
        pytest.skip("this file system has no such step")
    with pytest.raises(FileNotFoundError):
        swap_paths(pair[0], tmp_path / "nowhere")
