"""The code that only a CUDA device comes to, reached on a CPU: torch's calls of the device are replaced."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import eml_models.training.loop
import eml_models.training.step_load
from eml_models import Recipe, fit
from eml_models.training.kernels import Kernels
from eml_models.training.step_load import measure_step_load

CUDA = torch.device("cuda")
GB = 10**9
RECIPE = Recipe(learning_rate=0.1, epochs=1, max_train_samples=256)


@contextmanager
def unseeded(seed: int, device: torch.device) -> Iterator[None]:
    yield


def pretend_cuda(monkeypatch: pytest.MonkeyPatch, training: Any) -> None:
    """Let a training on the CPU take itself for one on CUDA."""
    training.device = CUDA
    monkeypatch.setattr(eml_models.training.loop, "seeded", unseeded)
    monkeypatch.setattr(eml_models.training.loop, "peak_memory_bytes", lambda device: 1)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)


@pytest.mark.parametrize("kernels", list(Kernels))
def test_a_training_on_cuda_searches_for_kernels_only_if_asked(
    monkeypatch: pytest.MonkeyPatch, kernels: Kernels
) -> None:
    training = fit(RECIPE, kernels=kernels)
    seen: set[tuple[bool, bool, bool]] = set()

    def note(*_: object) -> None:
        cudnn = torch.backends.cudnn
        seen.add((cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()))

    for module in training.module.modules():
        module.register_forward_pre_hook(note)
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    pretend_cuda(monkeypatch, training)
    monkeypatch.setattr(torch, "zeros", _on_cpu(torch.zeros))
    next(training)
    with training.tried() as (step, validate):
        step()
        validate()
    deterministic = kernels is Kernels.DETERMINISTIC
    assert seen == {(kernels is Kernels.SEARCHED, deterministic, deterministic)}
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == before
    assert not torch.are_deterministic_algorithms_enabled()


def _on_cpu(make: Any) -> Any:
    return lambda *sizes, device=None, **options: make(*sizes, **options)


class Card:
    """A simulated card: what torch says of its memory, and how long its steps take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, free: int, total: int) -> None:
        self.reserved, self.peak, self.free, self.total = 0, 0, free, total
        self.emptied = 0
        for name, call in {
            "synchronize": lambda device=None: None,
            "empty_cache": self.empty,
            "reset_peak_memory_stats": lambda device=None: setattr(self, "peak", self.reserved),
            "max_memory_reserved": lambda device=None: self.peak,
            "memory_reserved": lambda device=None: self.reserved,
            "mem_get_info": lambda device=None: (self.free, self.total),
            "device": lambda device: nullcontext(),
        }.items():
            monkeypatch.setattr(torch.cuda, name, call)

    def empty(self) -> None:
        self.emptied += 1
        self.reserved = 2 * GB

    def take(self, needed: int) -> None:
        self.reserved = max(self.reserved, needed)
        self.peak = max(self.peak, self.reserved)


@pytest.mark.parametrize("others", [0, 30 * GB])
def test_peak_of_a_step_is_that_of_later_steps(monkeypatch: pytest.MonkeyPatch, others: int) -> None:
    """The first steps try kernels with 17 GB; later ones take 3; a context takes 1 of the card, and strangers
    may hold some of it from the beginning."""
    card = Card(monkeypatch, free=80 * GB - 1 * GB - others, total=80 * GB)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    steps: list[int] = []

    def step() -> None:
        steps.append(1)
        card.free = 80 * GB - 3 * GB - 1 * GB - others
        card.take(17 * GB if len(steps) <= 3 else 3 * GB)

    training = SimpleNamespace(device=CUDA, tried=lambda: nullcontext((step, lambda: None)))
    monkeypatch.setattr(eml_models.training.step_load, "fit", lambda recipe, **options: training)
    monkeypatch.setattr(
        eml_models.training.step_load, "_measure_step_s", lambda step, device: [step(), 0.020][1]
    )
    monkeypatch.setattr(
        eml_models.training.step_load, "_measure_device_s", lambda step, device, s: [step(), s / 5][1]
    )
    load = measure_step_load(RECIPE, device="cuda")
    assert load.peak_bytes == 3 * GB
    assert load.beside_bytes + load.others_bytes == 1 * GB + others
    assert load.others_bytes == pytest.approx(others, abs=0.1 * GB)
    assert load.total_bytes == 80 * GB
    assert load.busy == pytest.approx(0.2)


def test_the_first_step_is_timed_once() -> None:
    training = fit(RECIPE.with_changes(epochs=2))
    assert training.first_step_s is None
    first = next(training)
    known = training.first_step_s
    assert known is not None
    assert 0 < known < first.epoch_s
    next(training)
    assert training.first_step_s == known


def test_tried_steps_train_the_network_that_is_trained() -> None:
    training = fit(RECIPE.with_changes(ema_decay=0.9))
    trained = training._trained
    assert isinstance(trained, nn.Module)
    with training.tried() as (step, validate):
        validate()
        step()
        assert trained.training
        assert not training.module.training


TWICE = """
import hashlib, sys, torch
from eml_models import Recipe, fit
recipe = Recipe(model=sys.argv[1], dataset="digits", optimizer=sys.argv[2], precision=sys.argv[3],
                learning_rate=0.01, epochs=2, batch_size=64, ema_decay=0.9)
for _ in range(2):
    training = fit(recipe, device="cuda", kernels="deterministic")
    reports = [(r.train_loss, r.val_loss, r.val_accuracy) for r in training]
    weights = b"".join(v.cpu().numpy().tobytes() for v in training.module.state_dict().values())
    print(reports, hashlib.sha256(weights).hexdigest())
"""


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("model", "optimizer", "precision"),
    [("mobilenet", "sgd_momentum", "fp32"), ("resnet18", "adamw", "bf16"), ("small_cnn", "rmsprop", "fp32")],
)
def test_deterministic_kernels_repeat_a_training_to_the_bit(
    model: str, optimizer: str, precision: str
) -> None:
    """In a process of its own: cuBLAS reads its setting at its first use."""
    done = subprocess.run(
        [sys.executable, "-c", TWICE, model, optimizer, precision], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second


@pytest.mark.gpu
def test_load_of_a_step_is_measured_on_a_card() -> None:
    recipe = Recipe(model="mobilenet", learning_rate=0.01, epochs=1, batch_size=64)
    load = measure_step_load(recipe, device="cuda")
    assert 1 << 20 < load.peak_bytes < load.total_bytes // 4
    assert 100 << 20 < load.beside_bytes < load.total_bytes
    assert 0.01 < load.busy <= 1
