"""A writer whose disk fails it: full, read-only, a file in the way, interrupted in the middle."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.dataset as pads
import pytest
from store_testing import (
    NEVER,
    event,
    open_writer,
    report,
    start,
    whole_trial,
)

from tune_jobs.errors import StoreError
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.reader import TrialStore


def segments(store: Path, table: str, study: str = "s") -> list[Path]:
    folder = store / table / f"study_slug=s-{study}"
    return [path for path in sorted(folder.iterdir()) if "no-rows" not in path.name]


def journals(store: Path, study: str = "s") -> list[Path]:
    return sorted((store / "_wal" / f"s-{study}").glob("*.jsonl"))


def published_seqs(store: Path) -> list[int]:
    """What a plain reader sees, over all tables."""
    tables = ("starts", "reports", "trials", "events")
    return sorted(seq for t in tables for seq in pads.dataset(store / t).to_table()["seq"].to_pylist())


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to grow any file of this process beyond `size`: a full disk that needs no rights."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, policy=NEVER)
    first = writer.append(start(0))
    (journal,) = journals(tmp_path)
    whole = journal.read_bytes()
    with files_no_larger_than(len(whole) + 40):
        with pytest.raises(StoreError, match=r"could not write .*acknowledged row is safe: free some space"):
            writer.append(report(0, 1))
        assert journal.read_bytes() == whole, "the half line is taken back"
    with pytest.raises(StoreError, match=r"takes no more rows: could not write .*: free some space"):
        writer.append(report(0, 1))
    writer.close()
    with open_writer(tmp_path) as writer:
        assert list(writer.rows) == [first]
        assert writer.append(report(0, 1)).seq == 2


def test_publishing_on_a_full_disk_waits_in_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = 0.0
    writer = open_writer(tmp_path, policy=PublishPolicy(trials=1, seconds=30), elapsed=lambda: seconds)
    with files_no_larger_than(2500):
        writer.append_many(whole_trial(0))
        assert "could not publish yet; the rows are safe" in caplog.text
        writer.append(event())
        assert caplog.text.count("could not publish") == 1, "not tried again at every append"
        assert len(journals(tmp_path)) == 2, "a batch that began to appear takes no more rows"
    assert [row.seq for row in TrialStore(tmp_path).rows("s")] == [1, 2, 3, 4, 5, 6]
    assert list((tmp_path / "_tmp" / "s-s").iterdir()) == []
    seconds = 31.0
    writer.publish_if_due()
    assert published_seqs(tmp_path) == [1, 2, 3, 4, 5, 6]
    writer.close()


def test_closing_on_a_full_disk_is_an_error_and_the_next_writer_publishes(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.append_many(whole_trial(0))
    with files_no_larger_than(2500), pytest.raises(StoreError, match="could not write"):
        writer.close()
    open_writer(tmp_path).close()
    assert published_seqs(tmp_path) == [1, 2, 3, 4, 5]


def test_the_first_error_is_shown_when_closing_fails_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def run() -> None:
        with open_writer(tmp_path) as writer:
            writer.append_many(whole_trial(0))
            limit.__enter__()
            raise RuntimeError("mine")

    limit = files_no_larger_than(2500)
    with pytest.raises(RuntimeError, match="mine"):
        run()
    limit.__exit__(None, None, None)
    assert "could not write" in caplog.text


def test_an_interrupted_append_leaves_no_doubtful_seq(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_writer(tmp_path, policy=NEVER)
    writer.append(start(0))

    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tune_jobs.store.files.local.sync_data", interrupt)
        with pytest.raises(KeyboardInterrupt):
            writer.append(report(0, 1))
    with pytest.raises(StoreError, match="takes no more rows: it was interrupted"):
        writer.append(report(0, 2))
    writer.close()
    assert [row.seq for row in TrialStore(tmp_path).rows("s")] == [1]


def test_what_fails_at_the_beginning_of_a_journal_is_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_writer(tmp_path, policy=PublishPolicy(trials=1))
    writer.append_many(whole_trial(0))  # its journal is published and gone

    def refuse(*args: object, **options: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(StoreError, match=r"could not make '.*\.jsonl': Read-only file system"):
            writer.append(start(1))
    with pytest.raises(StoreError, match=r"takes no more rows: could not make '.*\.jsonl': Read-only file"):
        writer.append(event())
    writer.close()
    assert published_seqs(tmp_path) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("below", [False, True])
def test_a_store_that_is_a_file_is_refused(tmp_path: Path, below: bool) -> None:
    (tmp_path / "file").write_text("not a store")
    with pytest.raises(StoreError, match="a file is in its way: choose another place with --store"):
        open_writer(tmp_path / "file" / "below" if below else tmp_path / "file")


@pytest.mark.parametrize("is_new", [True, False])
def test_a_store_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    """Root ignores permissions, so the refusal of the system call itself is simulated."""
    if not is_new:
        open_writer(tmp_path).close()

    def refuse(*args: object, **options: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    expected = pytest.raises(StoreError, match=r"Read-only file system\. The store of a run must be writable")
    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "mkdir") if is_new else (os, "open")), refuse)
        with expected:
            open_writer(tmp_path)
