"""Readers of a bucket see every acknowledged row while its journals come and go, object by object."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from store_testing import NEVER, Crash, event, open_writer, report, start, trial, whole_trial

from tune_jobs.store.files.objects import CACHE_VARIABLE, ObjectFiles
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.writer import StudyWriter


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return f"memory://bucket/{secrets.token_hex(4)}"


class Hooked:
    """A file system that calls somebody before or after its requests."""

    def __init__(self, fs: Any, **hooks: Callable[[str], object]) -> None:
        self._fs, self._hooks = fs, hooks

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._fs, name)
        before, after = (self._hooks.get(f"{when}_{name}") for when in ("before", "after"))

        def request(path: str, *args: Any, **options: Any) -> Any:
            if before:
                before(path)
            answer = method(path, *args, **options)
            if after:
                after(path)
            return answer

        return request if before or after else method


def seqs(store: str | ObjectFiles) -> list[int]:
    return [row.seq for row in TrialStore(store).rows("s")]


def end(writer: StudyWriter) -> None:
    """What the kernel does for a dead writer: its lock is free."""
    writer._lock.release()


@pytest.mark.parametrize("num_removed", range(5))
def test_a_writer_that_dies_removing_a_published_journal_hides_no_row(url: str, num_removed: int) -> None:
    files = ObjectFiles(url)
    writer = open_writer(files, policy=NEVER)
    for row in [start(0), *whole_trial(1), event()]:
        writer.append(row)
    left = [num_removed]

    def die(path: str) -> None:
        if ".jsonl." in path:
            if not left[0]:
                raise Crash
            left[0] -= 1

    files._fs = Hooked(files._fs, before_rm_file=die)
    with pytest.raises(Crash) if num_removed < 4 else nullcontext():
        writer._publish()
    assert seqs(url) == [1, 2, 3, 4, 5, 6, 7]
    end(writer)
    with open_writer(url) as again:
        assert [row.seq for row in again.rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [name for name in ObjectFiles(url).list_names("_wal/s-s") if "jsonl" in name] == []


@pytest.mark.parametrize("at", ["after_ls", "after_cat_file"])
@pytest.mark.parametrize("goes", ["into an object", "with its batch"])
def test_lines_on_the_disk_are_seen_while_they_go_into_the_bucket(url: str, at: str, goes: str) -> None:
    """The writer goes on at every single request of a reader in turn."""
    for request in range(100):
        store = f"{url}/{request}"
        writer = open_writer(store, policy=NEVER)
        for row in [start(0), report(0, 1), report(0, 2)]:
            writer.append(row)
        left = [request]

        def go_on(path: str, left: list[int] = left, writer: StudyWriter = writer) -> None:
            left[0] -= 1
            if left[0] == -1:
                writer.append(trial(0)) if goes == "into an object" else writer._publish()

        reader = ObjectFiles(store)
        reader._fs = Hooked(reader._fs, **{at: go_on})
        assert seqs(reader)[:3] == [1, 2, 3]
        writer.close()
        if left[0] >= 0:
            return
    raise AssertionError("a reader sends more than 100 requests")
