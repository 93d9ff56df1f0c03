"""What every place for a store must do, folder or bucket (`tune_jobs.store.files.protocol.Files`)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
import pytest

from eml_models.training.recipe import Recipe
from tune_jobs.errors import StoreLockedError
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.store.files.protocol import Files, Lock
from tune_jobs.store.format.layout import lock_key
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Float
from tune_jobs.study.rows import EventKind, EventRow, ReportRow, Row, StartRow, State, TrialRow
from tune_jobs.study.space import Space

NOW = datetime(2026, 11, 24, tzinfo=UTC)
STUDY = Study(
    name="contract",
    space=Space(Float("learning_rate", 0.1, 1.0)),
    recipe=Recipe(model="small_cnn", dataset="digits", learning_rate=0.1, epochs=3),
)
KEYS: dict[str, Any] = {"study": "contract", "trial_id": "contract/0", "number": 0, "attempt": 1}
ROWS: list[Row] = [
    StartRow(**KEYS, history_seq=0, params='{"learning_rate":0.5}', recipe="{}", seed=1, started_at=NOW),
    ReportRow(**KEYS, epoch=1, val_accuracy=0.5, reported_at=NOW),
    TrialRow(
        **KEYS, state=State.COMPLETED, reason="done", params='{"learning_rate":0.5}', seed=1, ended_at=NOW
    ),
    EventRow(study="contract", kind=EventKind.ATTEMPT_INTERRUPTED, session="x", happened_at=NOW),
]


class Mortal:
    """Files whose locks end as if their process had died; all else is left as it is."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.locks: list[Lock] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.files, name)

    def lock(self, key: str, **options: Any) -> Lock:
        self.locks.append(self.files.lock(key, **options))
        return self.locks[-1]

    def die(self) -> None:
        for lock in self.locks:
            lock.release()


def open_study(files: Any, **options: Any) -> StudyWriter:
    return StudyWriter.open(files, STUDY, versions={}, **options)


def published(files: Files, table: str) -> list[int]:
    found = pads.dataset(table, filesystem=files.arrow(), schema=SCHEMAS[table], exclude_invalid_files=False)
    return list(found.to_table()["seq"].to_pylist())


class FilesContract:
    """The tests; a derived class opens the place under test, empty each time."""

    def open(self, folder: Path) -> Files:
        """An empty place; `folder` is a fresh folder of the test."""
        raise AssertionError(f"{type(self).__name__} must say how its place is opened")

    @pytest.fixture
    def files(self, tmp_path: Path) -> Files:
        return self.open(tmp_path / "store")

    def test_rows_come_back_as_they_were_acknowledged(self, files: Files) -> None:
        with open_study(files) as writer:
            acknowledged = [writer.append(ROWS[0]), *writer.append_many(ROWS[1:])]
        assert [row.seq for row in acknowledged] == [1, 2, 3, 4]
        with open_study(files) as writer:
            assert list(writer.rows) == acknowledged

    def test_rows_of_a_dead_writer_come_back(self, files: Files) -> None:
        mortal = Mortal(files)
        acknowledged = open_study(mortal).append_many(ROWS)
        mortal.die()
        assert published(files, "trials") == []
        with open_study(files) as again:
            assert list(again.rows) == acknowledged
            assert again.append(ROWS[3]).seq == 5
        assert (published(files, "trials"), published(files, "events")) == ([3], [4, 5])

    def test_there_is_one_living_writer(self, files: Files) -> None:
        with open_study(files), pytest.raises(StoreLockedError, match="contract"):
            open_study(files)
        open_study(files).close()

    def test_a_lock_is_looked_at_without_being_taken(self, files: Files) -> None:
        assert files.read_lock(lock_key("contract")) is None
        with open_study(files) as writer:
            hold = files.read_lock(lock_key("contract"))
            assert hold is not None
            assert (hold.lives, hold.is_run, hold.holder["pid"]) == (True, True, os.getpid())
            writer.append(ROWS[0])
        assert files.read_lock(lock_key("contract")) is None
        with open_study(files):
            pass

    def test_batches_are_published_once_and_never_changed(self, files: Files) -> None:
        seen: dict[str, bytes | None] = {}
        with open_study(files, policy=PublishPolicy(trials=1)) as writer:
            for number in range(3):
                writer.append_many(ROWS)
                assert len(published(files, "reports")) == number + 1
                folder = "trials/study_slug=s-contract"
                now = {name: files.read(f"{folder}/{name}") for name in files.list_names(folder)}
                assert {name: now[name] for name in seen} == seen
                seen = now
        assert files.list_names("_tmp/s-contract") == []
        assert [name for name in files.list_names("_wal/s-contract") if not name.startswith("lock")] == []

    def test_files_appear_whole_and_go(self, files: Files) -> None:
        files.make_folder("a/b")
        files.make_folder("a/b")
        assert (files.list_names("a/b"), files.list_names("nowhere"), files.read("a/b/x")) == ([], [], None)
        files.make_folder("_tmp")
        files.put("a/b/x", b"one", scratch="_tmp")
        files.put("a/b/x", b"two", scratch="_tmp")
        files.move("a/b/x", "a/b/y")
        assert (files.list_names("a/b"), files.read("a/b/y"), files.list_names("_tmp")) == (["y"], b"two", [])
        assert dict(files.list_sizes("a/b")) == {"y": 3}
        grown = files.open_append("a/b/z")
        sizes = [files.list_sizes("a/b")]
        for line in (b"1\n", b"2\n"):
            grown.append(line)
            sizes.append(files.list_sizes("a/b"))
            assert sizes[-1] != sizes[-2]
        assert files.list_sizes("a/b") == sizes[-1]
        assert dict(files.list_sizes("nowhere")) == {}
        grown.close()
        assert files.read("a/b/z") == b"1\n2\n"
        files.remove("a/b/y")
        files.remove("a/b/y")
        assert (files.exists("a/b/y"), files.exists("a/b/z")) == (False, True)
