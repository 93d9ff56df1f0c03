"""What every place for a store must do. A new kind of `Files` (a bucket, say) joins by a line in `PLACES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from eml_models.training.recipe import Recipe
from tune_jobs.errors import StoreError, StoreLockedError
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.files.objects import ObjectFiles
from tune_jobs.store.files.protocol import Files, Lock
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import EventKind, EventRow, ReportRow, Row, StartRow, State, TrialRow
from tune_jobs.study.space import Float, Space


class MemoryFiles:
    """A store in memory: what a bucket would look like from here, with an append of its own."""

    has_folders = False

    def __init__(self) -> None:
        self.fs = MemoryFileSystem()
        self.fs.store = {}
        self.fs.pseudo_dirs = [""]
        self.held: set[str] = set()

    def describe(self, key: str) -> str:
        return f"memory:/{key}"

    def make_folder(self, key: str) -> None:
        self.fs.makedirs(f"/{key}", exist_ok=True)

    def list_names(self, folder: str) -> list[str]:
        if not self.fs.exists(f"/{folder}"):
            return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in self.fs.ls(f"/{folder}", detail=False))

    def exists(self, key: str) -> bool:
        return bool(self.fs.exists(f"/{key}"))

    def read(self, key: str) -> bytes | None:
        return bytes(self.fs.cat_file(f"/{key}")) if self.exists(key) else None

    def put(self, key: str, data: bytes, *, scratch: str) -> None:
        self.fs.pipe_file(f"/{key}", data)

    def remove(self, key: str) -> None:
        if self.exists(key):
            self.fs.rm_file(f"/{key}")

    def move(self, key: str, target: str) -> None:
        self.put(target, self.read(key) or b"", scratch="")
        self.remove(key)

    def remove_aside(self, folder: str, is_own: Callable[[str], bool]) -> list[str]:
        paths = self.fs.find(f"/{folder}") if self.exists(folder) else []
        for path in paths:
            if is_own(path.rpartition("/")[2]):
                self.fs.rm_file(path)
        return [path for path in paths if not is_own(path.rpartition("/")[2])]

    def require_real(self, folder: str) -> None:
        """Nothing: memory has no links."""

    def sync_folder(self, key: str) -> None:
        """Nothing: what was removed is gone."""

    def exchange_folders(self, current: str, new: str, *, old: str) -> None:
        raise StoreError("a store in memory has no folders to exchange")

    def open_append(self, key: str) -> MemoryAppend:
        assert not self.exists(key)
        self.put(key, b"", scratch="")
        return MemoryAppend(self, key)

    def lock(
        self, key: str, *, subject: str, holder: Mapping[str, object], wait_s: float = 0.0
    ) -> MemoryLock:
        if key in self.held:
            raise StoreLockedError(f"{subject} is being written")
        self.held.add(key)
        return MemoryLock(self, key)

    def arrow(self) -> pafs.FileSystem:
        return pafs.SubTreeFileSystem("/", pafs.PyFileSystem(pafs.FSSpecHandler(self.fs)))


class MemoryAppend:
    def __init__(self, files: MemoryFiles, key: str) -> None:
        self.files, self.key = files, key

    def append(self, data: bytes, *, may_wait: bool = False) -> None:
        self.files.put(self.key, (self.files.read(self.key) or b"") + data, scratch="")

    def close(self) -> None:
        pass


class MemoryLock:
    def __init__(self, files: MemoryFiles, key: str) -> None:
        self.files, self.key = files, key

    def release(self) -> None:
        self.files.held.discard(self.key)


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


PLACES: dict[str, Callable[[pytest.FixtureRequest], Files]] = {
    "local folder": lambda request: LocalFiles(request.getfixturevalue("tmp_path") / "store"),
    "memory": lambda request: MemoryFiles(),
    "S3": lambda request: ObjectFiles(request.getfixturevalue("s3_store")),
}
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


@pytest.fixture(params=PLACES)
def files(request: pytest.FixtureRequest) -> Files:
    return PLACES[request.param](request)


def open_study(files: Any, **options: Any) -> StudyWriter:
    return StudyWriter.open(files, STUDY, versions={}, **options)


def published(files: Files, table: str) -> list[int]:
    found = pads.dataset(table, filesystem=files.arrow(), schema=SCHEMAS[table], exclude_invalid_files=False)
    return list(found.to_table()["seq"].to_pylist())


def test_rows_come_back_as_they_were_acknowledged(files: Files) -> None:
    with open_study(files) as writer:
        acknowledged = [writer.append(ROWS[0]), *writer.append_many(ROWS[1:])]
    assert [row.seq for row in acknowledged] == [1, 2, 3, 4]
    with open_study(files) as writer:
        assert list(writer.rows) == acknowledged


def test_rows_of_a_dead_writer_come_back(files: Files) -> None:
    mortal = Mortal(files)
    acknowledged = open_study(mortal).append_many(ROWS)
    mortal.die()
    assert published(files, "trials") == []
    with open_study(files) as again:
        assert list(again.rows) == acknowledged
        assert again.append(ROWS[3]).seq == 5
    assert (published(files, "trials"), published(files, "events")) == ([3], [4, 5])


def test_there_is_one_living_writer(files: Files) -> None:
    with open_study(files), pytest.raises(StoreLockedError, match="contract"):
        open_study(files)
    open_study(files).close()


def test_batches_are_published_once_and_never_changed(files: Files) -> None:
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


def test_files_appear_whole_and_go(files: Files) -> None:
    files.make_folder("a/b")
    files.make_folder("a/b")
    assert (files.list_names("a/b"), files.list_names("nowhere"), files.read("a/b/x")) == ([], [], None)
    files.make_folder("_tmp")
    files.put("a/b/x", b"one", scratch="_tmp")
    files.put("a/b/x", b"two", scratch="_tmp")
    files.move("a/b/x", "a/b/y")
    assert (files.list_names("a/b"), files.read("a/b/y"), files.list_names("_tmp")) == (["y"], b"two", [])
    grown = files.open_append("a/b/z")
    grown.append(b"1\n")
    grown.append(b"2\n")
    grown.close()
    assert files.read("a/b/z") == b"1\n2\n"
    files.remove("a/b/y")
    files.remove("a/b/y")
    assert (files.exists("a/b/y"), files.exists("a/b/z")) == (False, True)
