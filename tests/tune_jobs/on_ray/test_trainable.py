"""The messages of an attempt, from its trainable. No Ray is started."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from attempts_of_workers import messages_of, trial_of

from eml_models.training.recipe import Recipe
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.on_ray.worker.payload import Payload
from tune_jobs.on_ray.worker.trainable import iter_messages
from tune_jobs.on_ray.worker.training_thread import made_in_training_thread
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import (
    AttemptFailed,
    EpochReported,
    Message,
    TrainingBegan,
    TrainingReturned,
    from_json,
    must_be_answered,
    to_json,
)
from tune_jobs.study.definition import Study
from tune_jobs.study.method import LatencyMode
from tune_jobs.study.objective import Maximize
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.parameters import Choice
from tune_jobs.study.space import Space
from tune_jobs.worker import training
from tune_jobs.worker.trial_run import TrialStopped

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.usefixtures("known_place"),
]


def test_a_worker_says_that_it_begins_before_its_first_epoch(tmp_path: Path) -> None:
    begun, *reports, ended = messages_of(digits_recipes(), tmp_path, is_shipped=True)
    assert isinstance(begun, TrainingBegan)
    worker = begun.worker
    assert worker.imports_s
    assert worker.imports_s > 0
    assert worker.data_s
    assert worker.data_s > 0
    assert worker.torch_version == torch.__version__
    assert worker.data_fingerprint
    first, second = reports
    assert isinstance(first, EpochReported)
    assert isinstance(second, EpochReported)
    first_step_s, epoch_s = first.worker.first_step_s, first.metrics["epoch_s"]
    assert isinstance(first_step_s, float)
    assert isinstance(epoch_s, float)
    assert 0 < first_step_s <= epoch_s
    assert second.worker == WorkerInfo()
    assert ended == TrainingReturned(worker=WorkerInfo())


@pytest.mark.parametrize(
    ("metrics", "last_epoch", "goes_on"),
    [
        ({"epoch": 1, "val_accuracy": 0.5}, 0, True),
        ({"epoch": 2, "val_accuracy": 0.5}, 1, False),  # a rung
        ({"epoch": 4, "val_accuracy": 0.5}, 1, False),  # the first report after it
        ({"epoch": 3, "val_accuracy": 0.5}, 2, True),
        ({"epoch": 8, "val_accuracy": 0.5}, 7, False),  # the last
        ({"epoch": 1, "val_accuracy": float("nan")}, 0, False),
        ({"epoch": 1, "val_accuracy": 10**400}, 0, False),
        ({"val_accuracy": 0.5}, 0, False),
    ],
)
def test_a_worker_trains_on_at_once_where_nothing_is_decided(
    metrics: dict[str, Any], last_epoch: int, goes_on: bool
) -> None:
    assert training.goes_on(metrics, last_epoch, 8, (2,)) is goes_on


def test_a_worker_waits_for_the_driver_before_it_saves_a_checkpoint(tmp_path: Path) -> None:
    for period_s, waits in ((1e9, [False, True]), (0.0, [True, True])):
        reported = [
            message.waits
            for message in messages_of(digits_recipes(), tmp_path, is_shipped=True, period_s=period_s)
            if isinstance(message, EpochReported)
        ]
        assert reported == waits


def test_importing_torch_is_no_time_for_the_data(tmp_path: Path) -> None:
    """In a process of its own, as a worker's first trial is."""
    program = f"""
import sys
from tune_jobs.on_ray.worker import trainable
from tune_jobs.on_ray.worker.payload import build_payload
from tune_jobs.checkpoints.saving import Saving
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.inputs.shipped import digits_recipes
from eml_models.training.recipe import Recipe
trainable.with_place = lambda worker: worker
trainable.check_store = lambda probe: None
before = "eml_models.training.loop" in sys.modules
seen = []
loop = "eml_models.training.loop"
Saving.begin = lambda self, *words, **options: seen.append(loop in sys.modules) or iter(())
payload = build_payload(digits_recipes(), None, threads=1, device="cpu", data_dir=None,
    download=False, is_shipped=True, checkpoints=Checkpoints(store={str(tmp_path)!r}, study="x"),
    checkpoint_period_s=1e9, probe=StoreProbe(store={str(tmp_path)!r}, study="x", nonce="x"))
recipe = Recipe(learning_rate=0.1, epochs=1).to_json()
list(trainable.iter_messages(payload, dict(recipe=recipe, number=0, attempt=1, gpus=0)))
print(before, seen)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "[True]"]


def test_a_checkpoint_that_is_of_no_use_is_named_when_an_attempt_begins(tmp_path: Path) -> None:
    messages_of(digits_recipes(), tmp_path, is_shipped=True, period_s=0.0)
    (path,) = (tmp_path / "checkpoints" / "digits-recipes" / "0").glob("attempt-*.pt")
    path.write_bytes(b"torn")
    begun = messages_of(digits_recipes(), tmp_path, is_shipped=True, attempt=2)[0]
    assert isinstance(begun, TrainingBegan)
    assert begun.worker.resumed_from_epoch == 1  # by the checkpoint before it
    assert str(begun.worker.passed_over).startswith(f"{path} is not a snapshot, or is damaged")


def fit_with_other_names(recipe: Recipe, **options: Any) -> Iterator[SimpleNamespace]:
    yield SimpleNamespace(epoch=1, val_acc=0.5, confusion=torch.zeros(3, 3), steps=10**5000, _inner=1)


def test_a_message_holds_every_name_of_a_report_but_no_large_value(tmp_path: Path) -> None:
    study = digits_recipes().with_changes(fit=fit_with_other_names)
    _, report, _ = (from_json(to_json(message)) for message in messages_of(study, tmp_path))
    assert isinstance(report, EpochReported)
    assert report.metrics == {"epoch": 1, "val_acc": 0.5, "confusion": "Tensor", "steps": math.inf}


def fit_of_ones_own(recipe: Recipe, **options: Any) -> Iterator[SimpleNamespace]:
    assert set(options) == {"device", "data_dir", "resume_from"}
    yield SimpleNamespace(epoch=1, val_accuracy=0.5)


def test_a_training_function_of_ones_own_gets_only_the_words_it_knows(tmp_path: Path) -> None:
    study = digits_recipes().with_changes(fit=fit_of_ones_own)
    kinds = [type(message) for message in messages_of(study, tmp_path)]
    assert kinds == [TrainingBegan, EpochReported, TrainingReturned]


@pytest.mark.parametrize("name", ["epoch", "val_accuracy", "peak_memory_bytes"])
@pytest.mark.parametrize(
    ("value", "sent"),
    [(10**400, math.inf), (10**5000, math.inf), (-(10**5000), -math.inf), (10**300, 10**300)],
    ids=["beyond floats", "beyond texts", "negative beyond texts", "within floats"],
)
def test_a_whole_number_of_any_length_reaches_the_driver(
    tmp_path: Path, name: str, value: int, sent: float
) -> None:
    def fit(recipe: Recipe, **options: Any) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(**{"epoch": 1, "val_accuracy": 0.5, name: value})

    _, reported, _ = messages_of(digits_recipes().with_changes(fit=fit), tmp_path)
    arrived = from_json(to_json(reported))
    assert isinstance(arrived, EpochReported)
    assert arrived.metrics[name] == sent


class StepsOfOnesOwn:
    """A training that says what it likes of its first step."""

    first_step_s: object = None

    def __init__(self, recipe: Recipe, **options: Any) -> None: ...

    def __iter__(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(epoch=1, val_accuracy=0.5)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.5, 0.5), (float("nan"), None), (float("inf"), None), (-1.0, None), (1e300, None), ("soon", None)],
)
def test_seconds_of_a_first_step_that_are_none_are_not_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: object, said: float | None
) -> None:
    monkeypatch.setattr(StepsOfOnesOwn, "first_step_s", seconds)
    _, report, _ = messages_of(digits_recipes().with_changes(fit=StepsOfOnesOwn), tmp_path)
    assert report.worker.first_step_s == said


def test_cublas_is_set_to_deterministic_kernels_before_a_latency_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "to be restored")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    seen = []

    def measure(*_: object) -> float:  # by products of matrices, at the first of which torch looks, once
        seen.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        return 1.0

    monkeypatch.setattr(training, "measure_latency", measure)
    for kernels in ("default", "deterministic"):
        messages_of(digits_recipes(), tmp_path, is_shipped=True, kernels=kernels, latency=LatencyMode())
    assert seen == [None, ":4096:8"]


def loads_and_reports(params: dict[str, Any], run: Any) -> Iterator[dict[str, float]]:
    state = run.load() or {"epoch": 0}
    if state["epoch"] == 2 and run.data_dir == "fails":
        raise ValueError("no use for this state")
    for epoch in range(state["epoch"] + 1, run.epochs + 1):
        run.save({"epoch": epoch})
        yield {"iou": epoch / 10}


def own_messages(folder: Path, **changes: Any) -> list[Message]:
    return list(iter_messages(*own_trial(folder, loads_and_reports, 0, **changes)))


def own_trial(folder: Path, train: Any, number: int, **changes: Any) -> tuple[Payload, dict[str, Any]]:
    space, objectives = Space(Choice("x", (1, 2))), (Maximize("iou"),)
    study = Study(name="own", space=space, train=train, epochs=3, objectives=objectives)
    recipe = OwnRecipe(params={"x": 1}, epochs=3, seed=1).to_json()
    return trial_of(study, folder, number=number, recipe=recipe, **changes)


def test_own_training_says_what_it_loaded_with_its_first_report(tmp_path: Path) -> None:
    begun, *reports, ended = own_messages(tmp_path)
    assert isinstance(begun, TrainingBegan)
    assert [type(message) for message in reports] == [EpochReported] * 3
    assert isinstance(ended, TrainingReturned)
    path = tmp_path / "checkpoints" / "own" / "0" / "attempt-1.pt"
    path.write_bytes(b"torn")  # of report 2, because the weights of report 3 are its final ones
    began, *reports, ended = own_messages(tmp_path, attempt=2, acknowledged={1: 2})
    assert (began.worker.resumed_from_epoch, began.worker.passed_over) == (0, None)
    first = reports[0].worker
    assert first.resumed_from_epoch == 1
    assert first.passed_over == f"{path} is not a snapshot, or is damaged; start without it"
    assert [message.worker.passed_over for message in (*reports[1:], ended)] == [None, None]


def test_own_training_that_fails_says_what_it_loaded_before(tmp_path: Path) -> None:
    own_messages(tmp_path)
    _, loaded, failed = own_messages(tmp_path, attempt=2, acknowledged={1: 2}, data_dir="fails")
    assert loaded == TrainingBegan(worker=WorkerInfo(resumed_from_epoch=2))
    assert isinstance(failed, AttemptFailed)


def calls_report(params: dict[str, Any], run: Any) -> None:
    for metrics in loads_and_reports(params, run):
        run.report(metrics)


def calls_in_a_thread(params: dict[str, Any], run: Any) -> None:
    def report() -> None:
        with suppress(TrialStopped):
            calls_report(params, run)

    thread = threading.Thread(target=report)
    thread.start()
    thread.join()


def test_functions_of_ended_and_stopped_trials_leave_no_thread(tmp_path: Path) -> None:
    before: set[threading.Thread] = set()
    for number in range(30):
        train = (loads_and_reports, calls_report, calls_in_a_thread)[number % 3]
        made = iter_messages(*own_trial(tmp_path, train, number))
        messages = made_in_training_thread(made, must_be_answered=must_be_answered)
        for _ in range(1 + number % 4):  # stopped after a report, or ended
            next(messages)
        messages.close()
        before = before or set(threading.enumerate())  # with the one thread of all trainings
        assert set(threading.enumerate()) <= before
