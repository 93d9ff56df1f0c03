"""What a worker says of an attempt, and in which thread it trains. Its messages alone: no Ray is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from eml_models.training.step_load import StepLoad
from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.errors import BrokenDeviceError, TuneJobsError
from tune_jobs.inputs.shipped import digits_recipes, lab_macs_30m
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.gpus.measure import LocalMeasurement, measured_here
from tune_jobs.on_ray.gpus.share import choose_part
from tune_jobs.on_ray.gpus.step_program import _answer, read_answer, request_text
from tune_jobs.on_ray.messages import AttemptFailed, EpochReported, Message, TrainingBegan, TrainingReturned
from tune_jobs.on_ray.worker import trainable
from tune_jobs.on_ray.worker.payload import build_payload
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.on_ray.worker.trainable import iter_messages
from tune_jobs.on_ray.worker.training_thread import made_in_training_thread
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.settings import RunSettings
from tune_jobs.study.definition import Study
from tune_jobs.study.method import LatencyMode
from tune_jobs.study.rows import Failure
from tune_jobs.study.space import Choice, Space

RECIPE = Recipe(learning_rate=0.1, epochs=2, max_train_samples=64)
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _known_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainable, "with_place", lambda worker: replace(worker, node="10.0.0.1"))
    monkeypatch.setattr(trainable, "check_store", lambda probe: None)


def messages_of(
    study: Study, folder: Path, *, gpus: float = 0, attempt: int = 1, **payload: Any
) -> list[Message]:
    known: dict[str, Any] = {"threads": 1, "device": "cpu", "data_dir": None, "download": False}
    packed = build_payload(
        study,
        None,
        checkpoints=Checkpoints(
            store=str(folder), study=study.name, identity=Identity(fingerprint="f", created_at="now")
        ),
        checkpoint_period_s=payload.pop("period_s", 1e9),
        probe=StoreProbe(store=str(folder), study=study.name, nonce="x"),
        **{**known, **payload},
    )
    config = {"recipe": RECIPE.to_json(), "number": 0, "attempt": attempt, "gpus": gpus}
    return list(iter_messages(packed, config))


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


def test_a_checkpoint_that_is_of_no_use_is_told_when_an_attempt_begins(tmp_path: Path) -> None:
    messages_of(digits_recipes(), tmp_path, is_shipped=True, period_s=0.0)
    (path,) = (tmp_path / "checkpoints" / "digits-recipes" / "0").glob("attempt-*.pt")
    path.write_bytes(b"torn")
    begun = messages_of(digits_recipes(), tmp_path, is_shipped=True, attempt=2)[0]
    assert isinstance(begun, TrainingBegan)
    assert begun.worker.resumed_from_epoch == 1  # by the checkpoint before it
    assert str(begun.worker.passed_over).startswith(f"{path} is not a snapshot, or a torn one")


def fit_of_ones_own(recipe: Recipe, **options: Any) -> Iterator[SimpleNamespace]:
    assert set(options) == {"device", "data_dir", "resume_from"}
    yield SimpleNamespace(epoch=1, val_accuracy=0.5)


def test_a_training_function_of_ones_own_gets_only_the_words_it_knows(tmp_path: Path) -> None:
    study = digits_recipes().with_changes(fit=fit_of_ones_own)
    kinds = [type(message) for message in messages_of(study, tmp_path)]
    assert kinds == [TrainingBegan, EpochReported, TrainingReturned]


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


def test_cublas_is_told_of_deterministic_kernels_before_a_latency_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "to be restored")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    seen = []

    def measure(*_: object) -> float:  # by products of matrices, at the first of which torch looks, once
        seen.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        return 1.0

    monkeypatch.setattr(trainable, "measure_latency", measure)
    for kernels in ("default", "deterministic"):
        messages_of(digits_recipes(), tmp_path, is_shipped=True, kernels=kernels, latency=LatencyMode())
    assert seen == [None, ":4096:8"]


def fit_that_fails(recipe: Recipe, **options: Any) -> Iterator[Any]:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")
    yield


@pytest.fixture
def simulated_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "simulated")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91900)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device=None: 7)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device=None: SimpleNamespace(total_memory=16 << 30)
    )
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda fraction: None)


@pytest.mark.usefixtures("simulated_gpu")
@pytest.mark.parametrize("stays", [True, False])
def test_an_error_that_stays_ends_the_process_and_any_other_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    def synchronize(device: object = None) -> None:
        if stays:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    study = digits_recipes().with_changes(fit=fit_that_fails)
    if stays:
        with pytest.raises(BrokenDeviceError, match="so it ends: RuntimeError: CUDA error: an illegal"):
            messages_of(study, tmp_path, device="cuda", gpus=1)
    else:
        *_, last = messages_of(study, tmp_path, device="cuda", gpus=1)
        assert isinstance(last, AttemptFailed)
        assert last.failure is Failure.RAISED


def fit_out_of_cudnn(recipe: Recipe, **options: Any) -> Iterator[Any]:
    raise RuntimeError("GET was unable to find an engine to execute this computation")
    yield


def fit_out_of_host(recipe: Recipe, **options: Any) -> Iterator[Any]:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
    yield


@pytest.mark.usefixtures("simulated_gpu")
@pytest.mark.parametrize(
    ("fit", "gpus", "failure"),
    [
        (fit_out_of_cudnn, 0.25, Failure.OUT_OF_SHARE),
        (fit_out_of_cudnn, 1.0, Failure.OUT_OF_MEMORY),
        (fit_out_of_host, 0.25, Failure.OUT_OF_MEMORY),
    ],
)
def test_memory_that_ran_out_by_other_words_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fit: Any, gpus: float, failure: Failure
) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    study = digits_recipes().with_changes(fit=fit)
    *_, last = messages_of(study, tmp_path, device="cuda", gpus=gpus)
    assert isinstance(last, AttemptFailed)
    assert last.failure is failure
    assert last.worker.peak_memory_bytes == 7


@pytest.mark.usefixtures("simulated_gpu")
def test_kernels_and_cudnns_version_are_told_of_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    study = digits_recipes().with_changes(fit=lambda recipe, **options: iter(()))
    begun, *_ = messages_of(study, tmp_path, device="cuda", gpus=1, is_shipped=True, kernels="deterministic")
    assert begun.worker.kernels == "deterministic"
    assert begun.worker.cudnn_version == 91900


def names_of_threads() -> Generator[str]:
    try:
        while True:
            yield threading.current_thread().name
    finally:
        CLOSED_IN.append(threading.current_thread().name)


CLOSED_IN: list[str] = []


def test_all_trials_of_a_process_train_in_one_thread() -> None:
    seen: list[str] = []

    def run_trial() -> None:
        names = made_in_training_thread(names_of_threads())
        seen.append(next(names))
        seen.append(next(names))
        names.close()

    for _ in range(2):  # as Ray Tune does, each in a thread of its own
        trial = threading.Thread(target=run_trial)
        trial.start()
        trial.join()
    assert seen == ["training"] * 4
    assert CLOSED_IN == ["training"] * 2


def test_what_training_raises_arrives_where_its_messages_are_awaited() -> None:
    def fail() -> Generator[int]:
        yield 1
        raise KeyError("x")

    items = made_in_training_thread(fail())
    assert next(items) == 1
    with pytest.raises(KeyError, match="x"):
        next(items)
    assert list(made_in_training_thread(iter_of(3))) == [1, 2, 3]


def iter_of(count: int) -> Generator[int]:
    yield from range(1, count + 1)


def a_study_with_latency() -> Study:
    return lab_macs_30m().with_changes(latency=LatencyMode())


@pytest.mark.parametrize(
    ("study", "gpus", "words"),
    [
        (digits_recipes(), 2, "at most 1 for the shipped training, got 2"),
        (a_study_with_latency(), 0.25, r"latency is measured on a whole GPU, and trials get 0\.25"),
    ],
)
def test_what_gpus_cannot_do_is_refused_before_ray(study: Study, gpus: float, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        RunSettings(gpus_per_trial=gpus).check_gpus(study)


def test_what_gpus_can_do_is_not_refused() -> None:
    RunSettings(gpus_per_trial=2).check_gpus(digits_recipes().with_changes(fit=fit_of_ones_own))
    RunSettings(gpus_per_trial=1).check_gpus(a_study_with_latency())
    RunSettings(gpus_per_trial="auto").check_gpus(a_study_with_latency())
    RunSettings(gpus_per_trial=0.25).check_gpus(digits_recipes())


@pytest.fixture
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program of its own: other tests register families here."""
    for name in ("custom_models", "custom_datasets"):
        monkeypatch.setattr(f"tune_jobs.on_ray.gpus.measure.{name}", lambda: ())


def measured(study: Study, **settings: Any) -> Any:
    with measured_here(study, None, RunSettings(gpus_per_trial="auto", **settings)) as found:
        return found and found.result(ended=lambda: False)


def test_a_process_of_this_machine_measures_the_largest_candidate() -> None:
    """On the simulated card of `gpu_study`, which the study's code brings along."""
    code = UserCode(module="gpu_study", search_paths=(str(Path(__file__).parents[2] / "e2e"),))
    study = digits_recipes().with_changes(space=Space(Choice("batch_size", (16, 128))))
    with measured_here(study, code, RunSettings(gpus_per_trial="auto")) as found:
        assert found is not None
        load = found.result(ended=lambda: False)
    assert load is not None
    assert load.peak_bytes == 127 * (20 << 20)  # batches of 127 images of the 1,150
    assert load.beside_bytes == 600 << 20
    assert load.total_bytes == 16 << 30
    assert choose_part(load).gpus == 1 / 4


@pytest.mark.usefixtures("nothing_registered")
def test_a_measurement_here_says_why_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(TuneJobsError, match="torch sees 0 CUDA devices") as caught:
        measured(digits_recipes())
    assert "--gpus-per-trial a number" in str(caught.value)


@pytest.mark.usefixtures("nothing_registered")
def test_a_measuring_process_that_dies_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_jobs.on_ray.gpus.measure.PROGRAM", "no_such_module_here")
    with pytest.raises(
        TuneJobsError, match=r"the process ended with exit code 1: .*No module named no_such_module"
    ):
        measured(digits_recipes())


@pytest.mark.usefixtures("nothing_registered")
def test_a_measurement_ends_with_a_signal() -> None:
    with measured_here(digits_recipes(), None, RunSettings(gpus_per_trial="auto")) as found:
        assert isinstance(found, LocalMeasurement)
        assert found.result(ended=lambda: True) is None


@pytest.mark.parametrize(
    "settings", [{"device": "cpu", "gpus_per_trial": None}, {"gpus_per_trial": 0.5}, {"address": "h:1"}]
)
def test_nothing_is_measured_here_that_need_not_be(settings: dict[str, Any]) -> None:
    with measured_here(
        digits_recipes(), None, RunSettings(**{"gpus_per_trial": "auto", **settings})
    ) as found:
        assert found is None


def test_what_this_program_registered_is_measured_on_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_jobs.on_ray.gpus.measure.custom_models", lambda: ("a family",))
    with measured_here(digits_recipes(), None, RunSettings(gpus_per_trial="auto")) as found:
        assert found is None


def test_latency_on_shared_gpus_is_not_measured_by_auto() -> None:
    with measured_here(a_study_with_latency(), None, RunSettings(gpus_per_trial="auto")) as found:
        assert found is None


def test_the_measuring_program_answers_in_json() -> None:
    text = request_text(RECIPE, None, data_dir=None, download=False, kernels="default")
    if not torch.cuda.is_available():
        assert "torch sees 0 CUDA devices" in str(read_answer(json.dumps(_answer(json.loads(text)))))
    load = StepLoad(peak_bytes=3, beside_bytes=2, total_bytes=9, busy=0.5)
    assert read_answer(json.dumps(asdict(load))) == load


@pytest.mark.parametrize(
    ("told", "first"),
    [
        (
            "\x1b[36mray::ImplicitFunc.train()\x1b[39m (pid=1, ip=10.0.0.1)\n  File x, line 1, in y\n"
            "tune_jobs.errors.BrokenDeviceError: so it ends: RuntimeError: illegal memory access\n",
            "BrokenDeviceError: so it ends: RuntimeError: illegal memory access",
        ),
        ("The actor died unexpectedly.\n\tclass_name: ImplicitFunc", "The actor died unexpectedly."),
        ("", "the worker died"),
    ],
)
def test_a_death_is_told_by_its_error_first(told: str, first: str) -> None:
    from tune_jobs.on_ray.cluster.deaths import error_first

    assert error_first(told).splitlines()[0] == first
    assert "\x1b" not in error_first(told)


def test_what_is_not_a_calls_own_error_is_its_workers_death() -> None:
    from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

    from tune_jobs.on_ray.cluster.deaths import death_if_not_own

    death = death_if_not_own(OutOfMemoryError("the node was running low on memory"))
    assert isinstance(death, RayActorError)
    assert "the node was running low on memory" in str(death)
    for known in (RayActorError(), RayTaskError("train", "traceback", ValueError()), ValueError()):
        assert death_if_not_own(known) is known
