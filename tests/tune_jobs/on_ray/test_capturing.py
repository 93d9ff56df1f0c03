"""What an attempt prints reaches its log, its own and no other's. Starts no Ray: plain files are Ray's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import wait_until

from tune_jobs.checkpoints.bounded_log import HEAD_BYTES, TAIL_BYTES
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.on_ray.worker import capturing
from tune_jobs.on_ray.worker.capturing import Capture, captured, copy_rest
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import EpochReported, TrainingReturned


class Worker:
    """The two files of a worker's process, and the logs of its attempts."""

    def __init__(self, folder: Path) -> None:
        self.out, self.err = folder / "ray" / "worker-1.out", folder / "ray" / "worker-1.err"
        self.out.parent.mkdir()
        self.logs = Logs(store=str(folder / "store"), study="study")
        for file in (self.out, self.err):
            file.write_text(":job_id:01000000\n")

    def says(self, text: str) -> None:
        self._add(self.out, text)

    def warns(self, text: str) -> None:
        self._add(self.err, text)

    @contextmanager
    def attempt(self, number: int, attempt: int = 1) -> Iterator[Capture]:
        with captured(self.logs, number, attempt, files=(self.out, self.err)) as capture:
            yield capture

    def _add(self, file: Path, text: str) -> None:
        with file.open("a") as handle:
            handle.write(text)


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_each_attempt_of_a_process_has_its_own_output(worker: Worker) -> None:
    with worker.attempt(0):
        worker.says("first trial\n")
        worker.warns("its warning\n")
    worker.says("between two trials\n")
    with worker.attempt(1):
        worker.says("second trial\n")
    with worker.attempt(0, 2):
        worker.says("first trial again")
    assert worker.logs.read(0, 1) == "first trial\nits warning\n"
    assert worker.logs.read(1, 1) == "second trial\n"
    assert worker.logs.read(0, 2) == "first trial again"


def test_an_attempt_that_prints_nothing_leaves_no_file(worker: Worker, tmp_path: Path) -> None:
    with worker.attempt(0) as capture:
        capture.copy(now=True)
    assert not (tmp_path / "store").exists()


def test_output_is_in_the_store_while_the_attempt_runs(worker: Worker) -> None:
    with worker.attempt(0) as capture:
        worker.says("epoch 1\n")
        capture.copy()
        assert worker.logs.read(0, 1) == "epoch 1\n"


def test_output_is_copied_also_while_training_says_nothing(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capturing, "PERIOD_S", 0.01)
    with worker.attempt(0):
        worker.says("a long epoch\n")
        wait_until(lambda: worker.logs.read(0, 1) == "a long epoch\n", "no copy is made")


def test_reports_without_output_write_nothing(worker: Worker) -> None:
    written: list[str] = []
    capture = Capture({worker.out: 0, worker.err: 0}, written.append)
    for _ in range(1000):
        capture.copy(now=True)
    assert len(written) == 1
    worker.says("more\n")
    capture.end()
    assert len(written) == 2
    worker.says("of the next attempt\n")
    capture.copy(now=True)
    assert len(written) == 2


def test_after_a_slow_copy_the_next_one_waits(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(capturing.time, "perf_counter", lambda: now[0])
    written: list[str] = []

    def write_slowly(text: str) -> None:
        written.append(text)
        now[0] += 2.0

    capture = Capture({worker.out: 0}, write_slowly)
    for _ in range(100):
        worker.says("a line\n")
        capture.copy()
        now[0] += 1.0
    assert len(written) == 3  # within 100 s: 6 s of writing
    capture.end()
    assert written[-1].count("a line") == 100


def test_a_large_output_is_read_in_part_and_bounded(worker: Worker) -> None:
    with worker.attempt(0):
        worker.says("".join(f"line {n}\n" for n in range(1_000_000)))
    text = worker.logs.read(0, 1)
    assert text is not None
    assert text.startswith("line 0\n")
    assert text.endswith("line 999999\n")
    assert "bytes left out" in text
    assert len(text) < HEAD_BYTES + TAIL_BYTES + 100


def test_a_file_that_ray_rotates_or_removes_breaks_nothing(worker: Worker) -> None:
    with worker.attempt(0) as capture:
        worker.says("before the rotation, in a long line\n")
        capture.copy(now=True)
        worker.out.write_text("after\n")
        capture.copy(now=True)
        worker.out.unlink()
    assert worker.logs.read(0, 1) == "before the rotation, in a long line\nafter\n"


def test_a_log_that_cannot_be_written_costs_only_the_log(worker: Worker) -> None:
    from tune_jobs.on_ray.worker.trainable import LOG, with_log

    def refuse(text: str) -> None:
        raise OSError("No space left on device")

    capture = Capture({worker.out: 0}, refuse)
    report = EpochReported(metrics={}, unsaved={"checkpoint": "full"}, worker=WorkerInfo())
    said = with_log(report, capture)
    assert isinstance(said, EpochReported)
    assert said.unsaved == {"checkpoint": "full", LOG: "No space left on device"}
    returned = TrainingReturned(worker=WorkerInfo())
    assert with_log(returned, capture) is returned


def test_output_of_a_killed_process_is_copied_by_another(worker: Worker) -> None:
    """The process ends itself between two copies, as one that is killed does."""
    program = f"""
import os
from pathlib import Path
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.on_ray.worker.capturing import captured
out = Path({str(worker.out)!r})
with captured(Logs(store={worker.logs.store!r}, study="study"), 7, 2, files=[out]) as capture:
    out.open("a").write("the last words\\n")
    os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert done.returncode == 9, done.stderr
    assert worker.logs.read(7, 2) is None
    for number, attempt in ((7, 1), (6, 2)):
        copy_rest(worker.logs, number, attempt, folder=worker.out.parent)
    assert worker.logs.attempts(7) == []
    (worker.out.parent / "attempt-of-1.json").write_text('{"owner": [')
    copy_rest(worker.logs, 7, 2, folder=worker.out.parent)
    assert worker.logs.read(7, 2) == "the last words\n"


def test_a_process_has_one_note_however_many_trials_it_trains(worker: Worker) -> None:
    for number in (1000, 5, 4):
        with worker.attempt(number):
            pass
    (note,) = worker.out.parent.glob("attempt-of-*.json")
    assert note.name == f"attempt-of-{os.getpid()}.json"
    assert json.loads(note.read_text())["owner"] == [worker.logs.store, "study", 4, 1]


def test_buffers_of_python_and_c_are_emptied_first(tmp_path: Path) -> None:
    program = f"""
import ctypes, os, sys
from pathlib import Path
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.on_ray.worker.capturing import captured
with captured(Logs(store={str(tmp_path)!r}, study="study"), 0, 1, files=[Path({str(tmp_path / "out")!r})]):
    print("Python")
    sys.stdout.flush()
    ctypes.CDLL(None).printf(b"C\\n")
    os.system("echo subprocess")
"""
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", program], check=True, stdout=out)
    text = Logs(store=str(tmp_path), study="study").read(0, 1)
    assert text is not None
    assert sorted(text.split()) == ["C", "Python", "subprocess"]
