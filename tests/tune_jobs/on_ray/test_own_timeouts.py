"""The time limit of a silence, for own training: a generator, and a function that calls `run.report`.

A clock of the tests moves only while the training function works or the driver is busy, and stands in for the
watch of the process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import patience_s

from tune_jobs import Float, Maximize, Space, Study
from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.on_ray.worker import watching
from tune_jobs.on_ray.worker.watching import while_watched
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import EpochReported, TrainingBegan, TrainingReturned
from tune_jobs.session.state_machine import Session
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.rows import Failure, State
from tune_jobs.testing.memory_log import MemoryLog
from tune_jobs.worker.own_attempt import OwnAttempt
from tune_jobs.worker.training import Job, TrainingSetup, iter_training

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

LIMIT_S = 5.0
IDENTITY = Identity(fingerprint="f", created_at="2026-01-01")


class ProcessEnded(BaseException):
    """Stands for the end of the worker's process."""


class Watch:
    """Takes the place of `faulthandler`, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ends_at: float | None = None

    def work(self, seconds: float) -> None:
        self.now += seconds

    def dump_traceback_later(self, limit_s: float, **options: object) -> None:
        assert options["exit"] is True
        self._ends_at = self.now + limit_s

    def cancel_dump_traceback_later(self) -> None:
        if self._ends_at is not None and self.now >= self._ends_at:
            raise ProcessEnded
        self._ends_at = None


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    monkeypatch.setattr(watching, "faulthandler", made)
    return made


def yielding(watch: Watch, before: float, epochs: tuple[float, ...], behind: float) -> Any:
    def train(params: dict[str, Any], run: Any) -> Iterator[dict[str, float]]:
        watch.work(before)
        for seconds in epochs:
            watch.work(seconds)
            yield {"iou": 0.5}
        watch.work(behind)

    return train


def reporting(watch: Watch, before: float, epochs: tuple[float, ...], behind: float) -> Any:
    def train(params: dict[str, Any], run: Any) -> None:
        for metrics in yielding(watch, before, epochs, behind)(params, run):
            run.report(metrics)

    return train


BOTH = pytest.mark.parametrize("form", [yielding, reporting])


def messages_of(train: Any, folder: Path) -> Iterator[Any]:
    setup = TrainingSetup(
        threads=1,
        device="cpu",
        data_dir=None,
        download=False,
        checkpoints=Checkpoints(store=str(folder), study="own", identity=IDENTITY),
        checkpoint_period_s=30.0,
        is_own=True,
    )
    recipe = OwnRecipe(params={"lr": 0.5}, epochs=4, seed=1)
    job = Job(number=0, attempt=1, recipe=recipe.to_json())
    return while_watched(iter_training(train, setup, job, WorkerInfo()), LIMIT_S)


@BOTH
def test_epochs_in_time_end_no_process_however_long_the_driver_takes(
    form: Any, watch: Watch, tmp_path: Path
) -> None:
    kinds = []
    for message in messages_of(form(watch, 1.0, (3.0, 4.0, 3.0, 2.0), 2.0), tmp_path):
        kinds.append(type(message))
        watch.work(1000.0)
    assert kinds == [TrainingBegan, *[EpochReported] * 4, TrainingReturned]


@BOTH
@pytest.mark.parametrize(
    ("before", "epochs", "behind", "num_reports"),
    [
        (2.0, (3.0, 1.0, 1.0, 1.0), 0.0, 0),  # as it loads: the first report is late
        (0.0, (1.0, 1.0, 6.0, 1.0), 0.0, 2),
        (0.0, (1.0, 1.0, 1.0, 1.0), 5.0, 3),  # behind its last report, which is sent when it has returned
        (0.0, (1.0,), 6.0, 1),  # as it returns early
    ],
)
def test_a_silence_that_is_too_long_ends_the_process_and_keeps_the_reports_before_it(
    form: Any, before: float, epochs: tuple[float, ...], behind: float, num_reports: int,
    watch: Watch, tmp_path: Path,
) -> None:  # fmt: skip
    kinds: list[type] = []
    messages = messages_of(form(watch, before, epochs, behind), tmp_path)
    with pytest.raises(ProcessEnded):
        kinds.extend(map(type, messages))
    assert kinds == [TrainingBegan, *[EpochReported] * num_reports]


HANGS = """
import threading
from pathlib import Path
from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.on_ray.worker.watching import while_watched
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.worker.training import Job, TrainingSetup, iter_training

def yields(params, run):
    hangs()
    yield {"iou": 0.5}

def reports(params, run):
    hangs()
    run.report({"iou": 0.5})

def hangs():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

setup = TrainingSetup(threads=1, device="cpu", data_dir=None, download=False,
                      checkpoints=Checkpoints(store="trials", study="own"),
                      checkpoint_period_s=30.0, is_own=True)
job = Job(number=0, attempt=1, recipe=OwnRecipe(params={}, epochs=1, seed=1).to_json())
for message in while_watched(iter_training(TRAIN, setup, job, WorkerInfo()), 0.5):
    print(message.kind, flush=True)
"""


@pytest.mark.parametrize("name", ["yields", "reports"])
def test_training_that_hangs_ends_its_process_and_says_where(name: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", HANGS.replace("TRAIN", name)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=patience_s(), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.split() == ["training_began"]
    assert f"in {name}" in done.stderr


def train(params: dict[str, Any], run: Any) -> Iterator[dict[str, float]]:
    epoch = run.load() or 0
    while epoch < run.epochs:
        epoch += 1
        run.save(epoch)
        yield {"iou": float(epoch)}


def a_study() -> Study:
    space, objectives = Space(Float("lr", 0.1, 1.0)), (Maximize("iou"),)
    return Study(name="own", space=space, train=train, objectives=objectives, epochs=9, trials=1, asha=None)


def hang_after(session: Session, folder: Path, num_reports: int) -> int:
    """Let the next attempt report so often and then hang; the number of its first report."""
    attempt = session.next_attempt()
    assert attempt is not None
    assert isinstance(attempt.recipe, OwnRecipe)
    training = OwnAttempt(
        train,
        attempt.recipe,
        number=attempt.number,
        attempt=attempt.attempt,
        acknowledged=attempt.acknowledged,
        checkpoints=Checkpoints(store=str(folder), study="own", identity=IDENTITY),
    )
    epochs = []
    for report in training.iter_reports():
        seconds = {"epoch": report.epoch, "epoch_s": report.epoch_s, "elapsed_s": report.elapsed_s}
        session.record_report(attempt.number, seconds, WorkerInfo(), own=report.metrics)
        epochs.append(report.epoch)
        if len(epochs) == num_reports:
            break
    if attempt.number in session.live_numbers:
        error = "there was no report for 5 s, so the worker ended itself"
        session.record_failure(attempt.number, Failure.HUNG, error, worker=WorkerInfo())
    return epochs[0]


def test_a_trial_that_hung_is_tried_again_from_its_saved_state(tmp_path: Path) -> None:
    log = MemoryLog()
    session = Session(a_study(), log)
    assert [hang_after(session, tmp_path, count) for count in (3, 2, 4)] == [1, 4, 6]
    (trial,) = log.trials
    assert (trial.state, trial.attempt, trial.epochs) == (State.COMPLETED, 3, 9)


def test_a_trial_that_hangs_in_each_attempt_has_failed_with_the_reason(tmp_path: Path) -> None:
    log = MemoryLog()
    session = Session(a_study(), log)
    for _ in range(3):
        hang_after(session, tmp_path, 1)
    (trial,) = log.trials
    assert (trial.state, trial.failure) == (State.FAILED, Failure.HUNG)
    assert trial.reason == "attempt 3 hung: there was no report for 5 s, so the worker ended itself"
