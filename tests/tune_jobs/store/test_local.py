"""What the local folder does in which order, so that a loss of power leaves a file whole or absent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tune_jobs.errors import StoreError
from tune_jobs.store.files.local import LocalFiles


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that touch the disk, in order; a handle is shown as the name of what it is open on."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to tell what a handle is open on")
    seen: list[str] = []

    def record(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            seen.append(f"{name} {Path(path).name.partition('.')[0]}")
            return real(first, *rest)

        return call

    for name in ("write", "fsync", "replace", "ftruncate"):
        monkeypatch.setattr(os, name, record(name, getattr(os, name)))
    monkeypatch.setattr("tune_jobs.store.files.local.sync_data", record("fdatasync", lambda handle: None))
    return seen


def test_put_syncs_the_file_before_and_its_folder_after_the_rename(tmp_path: Path, calls: list[str]) -> None:
    files = LocalFiles(tmp_path)
    files.make_folder("folder")
    files.make_folder("scratch")
    calls.clear()
    files.put("folder/file.parquet", b"data", scratch="scratch")
    assert calls == ["write file", "fsync file", "replace file", "fsync folder"]


def test_append_syncs_the_new_name_once_and_every_line(tmp_path: Path, calls: list[str]) -> None:
    files = LocalFiles(tmp_path)
    files.make_folder("folder")
    calls.clear()
    journal = files.open_append("folder/journal.jsonl")
    journal.append(b"1\n")
    journal.append(b"2\n")
    journal.close()
    assert calls == ["fsync folder", *["write journal", "fdatasync journal"] * 2]


def test_lines_that_are_followed_by_more_share_the_sync_of_the_last(tmp_path: Path, calls: list[str]) -> None:
    journal = LocalFiles(tmp_path).open_append("journal.jsonl")
    calls.clear()
    journal.append(b"1\n", more=True)
    journal.append(b"2\n", more=True)
    journal.append(b"3\n")
    assert calls == [*["write journal"] * 3, "fdatasync journal"]
    journal.append(b"4\n", more=True)
    journal.close()
    assert calls[4:] == ["write journal", "fdatasync journal"], "a run that fails in between loses nothing"


def test_all_lines_that_could_not_be_synced_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalFiles(tmp_path)
    journal = files.open_append("journal")
    journal.append(b"1\n")
    journal.append(b"2\n", more=True)

    def fail(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("tune_jobs.store.files.local.sync_data", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        journal.append(b"3\n")
    assert files.read("journal") == b"1\n"


def test_a_line_that_could_not_be_synced_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalFiles(tmp_path)
    journal = files.open_append("journal")
    journal.append(b"1\n")

    def fail(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("tune_jobs.store.files.local.sync_data", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        journal.append(b"2\n")
    journal.close()
    assert files.read("journal") == b"1\n"


def test_a_failed_put_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = LocalFiles(tmp_path)
    for folder in ("folder", "scratch"):
        files.make_folder(folder)

    def fail(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        files.put("folder/file", b"data", scratch="scratch")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_and_its_new_parents_are_synced(tmp_path: Path, calls: list[str]) -> None:
    LocalFiles(tmp_path / "a").make_folder("b/c")
    assert calls == ["fsync b", "fsync a", f"fsync {tmp_path.name}"]
