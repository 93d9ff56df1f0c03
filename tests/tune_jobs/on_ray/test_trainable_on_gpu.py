"""The messages of an attempt on a GPU, which is simulated. No Ray is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from attempts_of_workers import messages_of, trial_of

from eml_models.training.recipe import Recipe
from tune_jobs.errors import BrokenDeviceError
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.on_ray.worker.trainable import iter_messages
from tune_jobs.session.messages import (
    AttemptFailed,
    EpochReported,
    TrainingBegan,
)
from tune_jobs.study.rows import Failure

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.usefixtures("known_place", "simulated_gpu"),
]


def fit_that_fails(recipe: Recipe, **options: Any) -> Iterator[Any]:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")
    yield


@pytest.fixture
def simulated_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "simulated")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91900)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (16 << 30, 16 << 30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device=None: 0)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device=None: 7)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device=None: SimpleNamespace(total_memory=16 << 30)
    )
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda fraction: None)


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


def test_kernels_and_cudnns_version_are_recorded_for_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    study = digits_recipes().with_changes(fit=lambda recipe, **options: iter(()))
    begun, *_ = messages_of(study, tmp_path, device="cuda", gpus=1, is_shipped=True, kernels="deterministic")
    assert begun.worker.kernels == "deterministic"
    assert begun.worker.cudnn_version == 91900


class EagerLater:
    """A training whose second epoch finds that its steps cannot be graphs."""

    def __init__(self, recipe: Recipe, **options: Any) -> None:
        self.execution, self.eager_because = "graph", None
        self.step_times: object = SimpleNamespace(step_s=0.005, busy=0.75)

    def __iter__(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(epoch=1, val_accuracy=0.5)
        self.execution, self.eager_because = "eager", "half \ud800" + 999 * "x"
        self.step_times = SimpleNamespace(step_s=float("nan"), busy=7.0)
        yield SimpleNamespace(epoch=2, val_accuracy=0.5)


def test_the_execution_of_steps_is_recorded_for_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    study = digits_recipes().with_changes(fit=EagerLater)
    _, first, second, _ = messages_of(study, tmp_path, device="cuda", gpus=1, is_shipped=True)
    assert (first.worker.execution, first.worker.eager_because) == ("graph", None)
    assert (first.worker.step_s, first.worker.gpu_busy) == (0.005, 0.75)
    assert (second.worker.step_s, second.worker.gpu_busy) == (None, None)
    assert second.worker.execution == "eager"
    assert second.worker.eager_because == f"half ?{294 * 'x'}"
    _, first, _, _ = messages_of(study, tmp_path, is_shipped=True)
    assert first.worker.execution is None
    assert first.worker.gpu_busy is None


class LostInMidEpoch:
    """A training whose second epoch finds that its GPU is gone."""

    is_lost = False

    def __init__(self, recipe: Recipe, **options: Any) -> None: ...

    def __iter__(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(epoch=1, val_accuracy=0.5)
        LostInMidEpoch.is_lost = True
        raise RuntimeError("CUDA error: unspecified launch failure\nCompile with `TORCH_USE_CUDA_DSA`")


def test_a_gpu_lost_in_mid_epoch_ends_the_process_after_the_reports_that_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def synchronize(device: object = None) -> None:
        if LostInMidEpoch.is_lost:
            raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(LostInMidEpoch, "is_lost", False)
    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    study = digits_recipes().with_changes(fit=LostInMidEpoch)
    messages = iter_messages(*trial_of(study, tmp_path, device="cuda", gpus=0.5))
    assert isinstance(next(messages), TrainingBegan)
    assert isinstance(next(messages), EpochReported)
    with pytest.raises(BrokenDeviceError, match=r"unspecified launch failure$"):
        next(messages)


@pytest.mark.parametrize(("gpus", "others"), [(1.0, 30 << 30), (0.5, None)])
def test_what_strangers_hold_of_a_gpu_is_recorded_for_a_trial_that_has_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: float, others: int | None
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (49 << 30, 80 << 30))
    study = digits_recipes().with_changes(fit=lambda recipe, **options: iter(()))
    begun, *_ = messages_of(study, tmp_path, device="cuda", gpus=gpus)
    assert begun.worker.others_bytes == others
    assert begun.worker.mps is False
