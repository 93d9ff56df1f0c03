"""A step of the shipped training on CUDA: the host never waits for the device, and launches few operators.

Run on a CPU by the code for CUDA. Tensors without values (torch's fake tensors) refuse each operator that
needs a value, so a step that runs on them waits for nothing.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from played_graph import Played
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from eml_models import Recipe, load_dataset
from eml_models.latency.counting.operators import ALLOCATIONS
from eml_models.training.execution import Execution
from eml_models.training.loop import Fit
from eml_models.training.operator_record import OperatorRecord
from eml_models.training.optimizers import OPTIMIZERS

RECIPE = Recipe(
    learning_rate=0.02,
    epochs=1,
    batch_size=32,
    max_train_samples=64,
    schedule="one_cycle",
    ema_decay=0.9,
    max_grad_norm=1.0,
    label_smoothing=0.1,
    augmentation="crop_flip",
    cutout=0.3,
    model_options={"dropout": 0.2},
)


@pytest.fixture(autouse=True)
def rmsprop_is_capturable_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("torch.optim.rmsprop")
    monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda: ["cpu"])


def with_begun(recipe: Recipe, work: Callable[[Callable[[], object]], None]) -> None:
    """Call `work` with a step of the recipe, after a first step: torch then has the optimizer's state."""
    training = Fit(recipe, load_dataset(recipe.dataset), capturer=Played(), execution=Execution.EAGER)
    with training.tried() as (step, _):
        step()
        work(step)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_a_step_waits_for_nothing(optimizer: str, precision: str) -> None:
    recipe = RECIPE.with_changes(optimizer=optimizer, precision=precision)

    def without_values(step: Callable[[], object]) -> None:
        with FakeTensorMode(allow_non_fake_inputs=True):
            step()
            step()

    if (optimizer, precision) == ("rmsprop", "fp16"):
        with pytest.raises(DataDependentOutputException):
            with_begun(recipe, without_values)
    else:
        with_begun(recipe, without_values)


def test_blocks_and_epochs_wait_for_nothing_between_their_ends() -> None:
    """Between the tables of an epoch and its sums; the images of a block are changed at random there."""
    training = Fit(
        RECIPE.with_changes(epochs=2), load_dataset("digits"), capturer=Played(), execution=Execution.EAGER
    )
    next(training)
    steps = training._device_steps
    assert steps is not None
    steps.begin_epoch([0.01, 0.01], first_step=2)
    with training._working("test"), OperatorRecord("cpu") as record:
        training._run_blocks(steps, began=0.0)
    assert len(record.operators) > 100
    assert record.waiting is None


WITHOUT_COMPILER = """
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from eml_models import Fit, Recipe, load_dataset
capturer = SimpleNamespace(
    device_type="cpu", working=nullcontext, capture=lambda work: work, release=lambda: None
)
recipe = Recipe(learning_rate=0.1, epochs=1, batch_size=8, max_train_samples=64)
training = Fit(recipe, load_dataset("digits"), capturer=capturer)
next(training)
print(training.execution, "torch._dynamo" in sys.modules)
"""


def test_steps_become_graphs_without_torchs_compiler() -> None:
    """Its import takes a second of each process that trains."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_COMPILER], capture_output=True, text=True)
    assert done.stdout.split() == ["graph", "False"], done.stderr


def count_launches(recipe: Recipe) -> int:
    """The operators of a step that launch kernels: no views, no allocations."""
    training = Fit(recipe, load_dataset(recipe.dataset), capturer=Played(), execution=Execution.EAGER)
    steps = training._device_steps
    assert steps is not None
    with training.tried() as (step, _):
        step()
        steps.rewind()
        with OperatorRecord("cpu") as record:
            steps.advance(32)
    return sum(_launches(name) for name, *_ in record.operators)


def _launches(name: str) -> bool:
    namespace, operator, overload = name.split(".")
    func = getattr(getattr(getattr(torch.ops, namespace), operator), overload)
    returns = func._schema.returns
    is_view = bool(returns) and all(r.alias_info is not None and not r.alias_info.is_write for r in returns)
    return namespace == "aten" and operator not in ALLOCATIONS and not is_view


SMALL = {"model": "small_cnn", "model_options": {}}
RESNET = {"model": "resnet18", "model_options": {"width": 8}}
MOBILE = {"model": "mobilenet", "model_options": {"width_mult": 0.1}}
"""Narrow, because the number of operators does not depend on the width."""


@pytest.mark.parametrize(
    ("network", "precision", "smoothing", "most"),
    [
        (SMALL, "fp32", 0.0, 45),
        (SMALL, "fp32", 0.1, 62),
        (SMALL, "bf16", 0.0, 49),
        (RESNET, "fp32", 0.0, 153),
        (RESNET, "bf16", 0.0, 157),
        (MOBILE, "fp32", 0.0, 327),
        (MOBILE, "bf16", 0.1, 348),
    ],
)
def test_a_step_launches_no_more_operators_than_its_budget(
    network: dict[str, Any], precision: str, smoothing: float, most: int
) -> None:
    """A budget may fall; a rise makes each step longer."""
    plain = {"ema_decay": None, "max_grad_norm": None, "precision": precision, "label_smoothing": smoothing}
    assert count_launches(RECIPE.with_changes(**network, **plain)) <= most
