"""Rows, studies and hostile file systems that the store's tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from eml_models.training.recipe import Recipe
from tune_jobs.store.batches import PublishPolicy
from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.store.columns.schema import SCHEMA_VERSION
from tune_jobs.store.files.local import LocalFiles, LocalLock
from tune_jobs.store.files.protocol import AppendFile
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter
from tune_jobs.study.rows import EventKind, EventRow, ReportRow, Row, StartRow, TrialRow
from tune_jobs.study.space import Space
from tune_jobs.testing.rows import NOON, event_row, report_row, start_row, trial_row

EACH_TRIAL = PublishPolicy(trials=1)
NEVER = PublishPolicy(trials=10**9, reports=10**9, seconds=1e9)
TABLES = ("starts", "reports", "trials", "events")
ODD_NAMES = (
    "plain",
    "with space",
    "ünï-漢字",
    "100%25 #1",
    'it\'s "quoted"',
    "a*b?[c]",
    "new\nline",
    "-dash",
    "s3:x",
)


def make_study(name: str = "s", *parameters: Parameter, **changes: Any) -> Study:
    space = Space(
        *(parameters or (Choice("optimizer", ("sgd", "adam")), Float("learning_rate", 1e-4, 1.0, log=True))),
        *((Float("my_own", 0.0, 1.0), Constant("my_list", (1, 2))) if not parameters else ()),
    )
    recipe = Recipe(model="small_cnn", dataset="digits", learning_rate=1e-2, epochs=3)
    return Study(name=name, space=space, recipe=recipe, **changes)


def open_writer(store: Any, study: Study | None = None, **options: Any) -> StudyWriter:
    return StudyWriter.open(store, study or make_study(), versions={"tune-jobs": "0"}, **options)


def start(number: int, study: str = "s", *, at: datetime = NOON, **params: Any) -> StartRow:
    return start_row(number, params or PARAMS, study=study, seed=number, started_at=at)


def report(number: int, epoch: int, study: str = "s", *, at: datetime = NOON, **columns: Any) -> ReportRow:
    return report_row(number, epoch, epoch / 10, study=study, reported_at=at, **columns)


def trial(
    number: int, study: str = "s", *, params: Mapping[str, Any] | None = None, **columns: Any
) -> TrialRow:
    known = {"reason": "ran all 3 epochs", "objective": number / 100, "seed": number, "ended_at": NOON}
    return trial_row(number, params=dict(params or PARAMS), study=study, **{**known, **columns})


def event(kind: EventKind = EventKind.ATTEMPT_INTERRUPTED, study: str = "s") -> EventRow:
    return event_row(kind, study=study)


def whole_trial(number: int, study: str = "s") -> list[Row]:
    return [
        start(number, study),
        *(report(number, epoch, study) for epoch in (1, 2, 3)),
        trial(number, study),
    ]


PARAMS = {"optimizer": "adam", "learning_rate": 0.01, "my_own": 0.25, "my_list": [1, 2]}

LATENCY = LatencyRow(
    run="0001",
    network="mobilenet-30m",
    model="mobilenet",
    options='{"width_mult":0.525}',
    input_shape="3x32x32",
    macs=29_026_048,
    parameters=767_194,
    activations=1_000_000,
    traffic_bytes=20_000_000,
    kernels=160,
    device="cpu",
    device_name="a CPU",
    mode="fp32/nchw/eager",
    precision="fp32",
    casting="none",
    layout="nchw",
    execution="eager",
    folded=False,
    source="cached",
    variant="whole",
    allocator="default",
    kernel_search=True,
    batch_size=32,
    requested_batch_size=64,
    n=12,
    median_ms=40.5,
    q1_ms=40.0,
    q3_ms=41.0,
    threads=1,
    torch_version="2.14.1",
    notes="a batch of 64 does not fit into memory: 32",
    measured_at=NOON,
)


def snapshot_of_tree(root: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time of change."""
    return {
        str(p.relative_to(root)): (p.stat().st_size, p.stat().st_mtime_ns)
        for p in root.rglob("*")
        if p.is_file()
    }


def segments(store: Path, table: str, study: str = "s") -> list[Path]:
    folder = store / table / f"study_slug=s-{study}"
    return [path for path in sorted(folder.iterdir()) if "no-rows" not in path.name]


def journals(store: Path, study: str = "s") -> list[Path]:
    return sorted((store / "_wal" / f"s-{study}").glob("*.jsonl"))


def write_trials(store: Path, count: int, *, first: int = 0, study: str = "s") -> list[Row]:
    """Trials with a file of their own each, the way a long search leaves them."""
    with open_writer(store, make_study(study), policy=EACH_TRIAL) as writer:
        for number in range(first, first + count):
            writer.append_many([event(study=study), *whole_trial(number, study)])
    return TrialStore(store).rows(study)


def mark(table: str, version: str = str(SCHEMA_VERSION)) -> dict[str, str]:
    """What says in a file that this store wrote it."""
    return {"tune_jobs.table": table, "tune_jobs.schema_version": version}


class Crash(BaseException):
    """Stands for the death of the process: nothing may handle it."""


class MortalFiles(LocalFiles):
    """A local folder whose locks end as if the process had died."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.locks: list[LocalLock] = []

    def lock(self, key: str, **options: Any) -> LocalLock:
        self.locks.append(super().lock(key, **options))
        return self.locks[-1]

    def die(self) -> None:
        for lock in self.locks:
            lock.release()


def leave_dead(store: Path, rows: list[Row], study: Study | None = None) -> None:
    """A writer that acknowledged rows, one by one, and then died."""
    files = MortalFiles(store)
    writer = open_writer(files, study, policy=NEVER)
    for row in rows:
        writer.append(row)
    files.die()


class CrashingFiles(LocalFiles):
    """A local folder on which the process dies at the n-th change: before it, or half-way in an append."""

    def __init__(self, root: Path, *, crash_at: int) -> None:
        super().__init__(root)
        self.left = crash_at
        self.dead = False

    def step(self) -> None:
        if self.dead:
            raise Crash
        self.left -= 1
        if self.left == 0:
            self.dead = True
            raise Crash

    def make_folder(self, key: str) -> None:
        self.step()
        super().make_folder(key)

    def put(self, key: str, data: bytes, *, scratch: str) -> None:
        self.step()
        super().put(key, data, scratch=scratch)
        self.step()

    def remove(self, key: str) -> None:
        self.step()
        super().remove(key)

    def move(self, key: str, target: str) -> None:
        self.step()
        super().move(key, target)

    def remove_aside(self, folder: str, is_own: Callable[[str], bool]) -> list[str]:
        self.step()
        return super().remove_aside(folder, is_own)

    def exchange_folders(self, current: str, new: str, *, old: str) -> None:
        self.step()
        super().exchange_folders(current, new, old=old)
        self.step()

    def open_append(self, key: str) -> AppendFile:
        self.step()
        return CrashingAppend(self, Path(self.describe(key)))


class CrashingAppend:
    """Appends without the cleaning up that a dead process could not do."""

    def __init__(self, files: CrashingFiles, path: Path) -> None:
        self._files, self._path = files, path
        path.touch(exist_ok=False)

    def append(self, data: bytes, *, may_wait: bool = False, more: bool = False) -> None:
        try:
            self._files.step()
        except Crash:
            with self._path.open("ab") as handle:
                handle.write(data[: len(data) // 2])
            raise
        with self._path.open("ab") as handle:
            handle.write(data)

    def close(self) -> None:
        pass


@contextmanager
def forbidden_changes(monkeypatch: Any) -> Iterator[None]:
    """While this holds, `LocalFiles` cannot change anything: a read-only store, also for root."""

    def refuse(self: LocalFiles, *args: Any, **options: Any) -> None:
        raise AssertionError(f"a reader tried to change the store: {args}")

    with monkeypatch.context() as patch:
        changes = ("make_folder", "put", "remove", "move", "open_append", "lock", "remove_aside")
        for name in (*changes, "exchange_folders", "sync_folder"):
            patch.setattr(LocalFiles, name, refuse)
        yield


def integer(name: str) -> Integer:
    return Integer(name, 1, 8)
