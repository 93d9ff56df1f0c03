"""Steps as graphs on a real GPU: the bits of eager steps, and a host that waits for nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compared_on_cuda
import pytest
import torch
from compared_on_cuda import CASES
from full_recipe import FULL
from torch import nn

from eml_models import fit
from eml_models.networks import layers
from eml_models.training.loop import Fit
from eml_models.training.step_load import measure_step_load

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def compared() -> dict[str, dict[str, Any]]:
    """Each case of `compared_on_cuda`, trained in each way."""
    program = Path(compared_on_cuda.__file__)
    paths = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.pop("case"): line for line in lines}


@pytest.mark.parametrize("case", list(CASES))
def test_a_graph_equals_eager_steps_to_the_bit(case: str, compared: dict[str, dict[str, Any]]) -> None:
    ways = compared[case]
    stays_eager = case == "rmsprop fp16"
    assert ways["graph"]["execution"] == ("eager" if stays_eager else "graph"), ways["graph"]
    assert (ways["graph"]["eager_because"] is not None) == stays_eager
    assert ways["eager"]["execution"] == "eager"
    assert ways["graph"]["result"] == ways["eager"]["result"]


@pytest.mark.parametrize("case", list(CASES))
def test_a_resumed_training_equals_a_straight_one(case: str, compared: dict[str, dict[str, Any]]) -> None:
    assert compared[case]["resumed"]["result"] == compared[case]["graph"]["result"]


def test_the_host_waits_for_nothing_during_an_epoch_of_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    training = fit(FULL, device="cuda")
    next(training)
    assert training.execution == "graph"
    made = Fit._run_blocks

    def without_waiting(self: Fit, *args: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that this mode is a prototype
            torch.cuda.set_sync_debug_mode("error")
        try:
            made(self, *args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Fit, "_run_blocks", without_waiting)
    next(training)
    assert training.execution == "graph"


def waiting_forward(self: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    return nn.Sequential.forward(self, x * 1.5 if self.training and x.mean().item() > 99 else x)


def test_a_network_that_waits_stays_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers.Network, "forward", waiting_forward, raising=False)
    training = fit(FULL, device="cuda")
    assert len(list(training)) == 3
    assert training.execution == "eager"
    assert training.eager_because == "a step waits for the device (aten._local_scalar_dense.default)"


def secretly_waiting_forward(self: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    """Waits where no record of operators sees it."""
    if self.training:
        torch.cuda.current_stream().synchronize()
    return nn.Sequential.forward(self, x)


@pytest.fixture
def restored_generator() -> Iterator[None]:
    before = torch.cuda.get_rng_state()
    yield
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert torch.rand(4, device="cuda").max() < 1  # torch still draws numbers there


@pytest.mark.usefixtures("restored_generator")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_capture_that_cuda_refuses_leaves_the_training_eager(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the process in order: later trainings have graphs again."""
    recipe = FULL.with_changes(precision=precision)
    with monkeypatch.context() as patched:
        patched.setattr(layers.Network, "forward", secretly_waiting_forward, raising=False)
        training = fit(recipe, device="cuda")
        assert len(list(training)) == 3
    assert training.execution == "eager"
    assert str(training.eager_because).startswith("the capture of a step failed: ")
    later = fit(recipe, device="cuda")
    assert len(list(later)) == 3
    assert (later.execution, later.eager_because) == ("graph", None)


def test_memory_of_graphs_is_part_of_the_measured_load_and_freed_after_the_training() -> None:
    recipe = FULL.with_changes(model="mobilenet", model_options={}, dataset="digits", batch_size=256)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    load = measure_step_load(recipe, device="cuda")
    training = fit(recipe.with_changes(epochs=8), device="cuda")
    for _ in range(7):
        next(training)
    assert training.execution == "graph"
    assert torch.cuda.max_memory_allocated() <= load.peak_bytes + (2 << 20)
    del training
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= before + (64 << 20)
