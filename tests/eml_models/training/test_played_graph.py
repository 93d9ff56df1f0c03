"""The shipped training with its steps as graphs, played on a CPU: they give the bits of eager steps.

`played_graph` records the operators of a step and replays them without any Python code of the step.
"""

from __future__ import annotations

import gc
import importlib
import random
import re
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from full_recipe import FULL
from played_graph import Played
from torch import nn

from eml_models import Recipe, load_dataset, save_snapshot
from eml_models.networks import layers
from eml_models.training.execution import Execution
from eml_models.training.loop import Fit
from eml_models.training.optimizers import OPTIMIZERS
from eml_models.training.schedules import SCHEDULES
from eml_models.training.snapshot import load_snapshot

RECIPE = FULL.with_changes(epochs=2, batch_size=16, max_train_samples=124)  # batches of 15 and 16 images
NUM_WARM_UP = 6
"""Eager steps: three of each of two sizes."""


@pytest.fixture(autouse=True)
def rmsprop_is_capturable_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the one flag that torch allows on a GPU only."""
    module = importlib.import_module("torch.optim.rmsprop")
    devices = module._get_capturable_supported_devices()
    monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda: [*devices, "cpu"])


def training_of(recipe: Recipe, capturer: Played, execution: Execution = Execution.AUTO) -> Fit:
    return Fit(recipe, load_dataset(recipe.dataset), capturer=capturer, execution=execution)


def results(training: Fit) -> list[Any]:
    """All that the epochs left say, but for their times."""
    return [
        (r.epoch, r.train_loss, r.train_accuracy, r.val_loss, r.val_accuracy, r.learning_rate)
        for r in training
    ]


def state(training: Fit) -> dict[str, torch.Tensor]:
    """Every tensor of a training: weights, average, statistics, optimizer, scaler."""
    snapshot = training.snapshot()
    parts = {"trained": training._trained.state_dict(), "module": snapshot.module, "scaler": snapshot.scaler}
    found = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
    for number, values in snapshot.optimizer["state"].items():
        found |= {f"optimizer/{number}/{name}": value for name, value in values.items()}
    return {name: torch.as_tensor(value) for name, value in found.items()}


def assert_equal_to_the_bit(one: Fit, other: Fit) -> None:
    first, second = state(one), state(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def played_and_eager(recipe: Recipe) -> tuple[Fit, Fit, Played]:
    """Two trainings of a recipe, after the same reports."""
    capturer = Played()
    played = training_of(recipe, capturer)
    eager = training_of(recipe, Played(), Execution.EAGER)
    assert results(played) == results(eager)
    return played, eager, capturer


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_a_played_graph_equals_eager_steps_to_the_bit(optimizer: str, precision: str) -> None:
    recipe = RECIPE.with_changes(optimizer=optimizer, precision=precision)
    played, eager, capturer = played_and_eager(recipe)
    assert_equal_to_the_bit(played, eager)
    assert eager.execution == "eager"
    assert eager.eager_because == "eager execution was chosen"
    if (optimizer, precision) == ("rmsprop", "fp16"):
        assert played.execution == "eager"
        assert played.eager_because == "rmsprop in fp16 waits for the device at each step; bf16 does not"
        assert capturer.captures == 0
    else:
        assert (played.execution, played.eager_because) == ("graph", None)
        assert capturer.captures == 2
        assert capturer.replays == 2 * 8 - NUM_WARM_UP


@pytest.mark.parametrize(
    "changes",
    [
        *({"schedule": name} for name in SCHEDULES if name != "one_cycle"),
        {"ema_decay": None, "label_smoothing": 0.0, "max_grad_norm": None, "augmentation": "none"},
        {"augmentation": "flip", "cutout": 0.0, "warmup_fraction": 0.0, "channels_last": False},
        {"train_on": "train_and_validation", "augmentation": "crop", "batch_size": 13},
    ],
    ids=str,
)
def test_a_played_graph_has_the_values_of_each_step(changes: dict[str, Any]) -> None:
    played, eager, _ = played_and_eager(RECIPE.with_changes(**changes))
    assert (played.execution, played.eager_because) == ("graph", None)
    assert_equal_to_the_bit(played, eager)


@pytest.mark.parametrize(
    ("model", "options"), [("resnet18", {"width": 8}), ("mobilenet", {"width_mult": 0.1})]
)
def test_a_played_graph_trains_deep_networks(model: str, options: dict[str, float]) -> None:
    recipe = RECIPE.with_changes(model=model, model_options=options, epochs=1, precision="bf16", batch_size=8)
    played, eager, _ = played_and_eager(recipe)
    assert (played.execution, played.eager_because) == ("graph", None)
    assert_equal_to_the_bit(played, eager)


@pytest.mark.parametrize("optimizer", ["nesterov", "adamw", "rmsprop"])
def test_a_resumed_training_equals_a_straight_one(optimizer: str, tmp_path: Any) -> None:
    recipe = RECIPE.with_changes(optimizer=optimizer, epochs=3)
    straight, begun = training_of(recipe, Played()), training_of(recipe, Played())
    next(begun)
    save_snapshot(begun.snapshot(), tmp_path / "snapshot")
    resumed = training_of(recipe, Played())
    resumed.restore(load_snapshot(tmp_path / "snapshot"))
    assert results(straight)[1:] == results(resumed)
    assert resumed.execution == "graph"
    assert_equal_to_the_bit(straight, resumed)


@pytest.mark.parametrize("optimizer", ["sgd_momentum", "adam", "rmsprop"])
def test_a_snapshot_of_graphs_resumes_without_them(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPE.with_changes(optimizer=optimizer)
    played = training_of(recipe, Played())
    next(played)
    monkeypatch.undo()  # a CPU's own loop takes no such optimizer
    resumed = Fit(recipe, load_dataset(recipe.dataset))
    resumed.restore(played.snapshot())
    plain = Fit(recipe, load_dataset(recipe.dataset))
    assert next(plain).epoch == 1
    assert next(resumed).train_loss == pytest.approx(next(plain).train_loss, rel=1e-3)
    groups = [resumed.snapshot().optimizer["param_groups"], plain.snapshot().optimizer["param_groups"]]
    assert groups[0] == groups[1]


def test_a_state_that_is_loaded_between_epochs_is_trained_on() -> None:
    """Its tensors are new ones, which earlier graphs do not know."""
    recipe = RECIPE.with_changes(epochs=4)
    straight, again = training_of(recipe, Played()), training_of(recipe, Played())
    next(straight)
    expected = results(straight)
    next(again)
    snapshot = again.snapshot()
    next(again)
    again.restore(snapshot)
    assert results(again) == expected
    assert again.execution == "graph"


def test_the_average_and_the_weights_of_a_graph_are_the_modules_own() -> None:
    """Saved and validated is what the graph has trained."""
    training = training_of(RECIPE, Played())
    places = [[p.data_ptr() for p in module.parameters()] for module in (training.module, training._trained)]
    before = [p.clone() for p in training.module.parameters()]
    assert len(results(training)) == 2
    assert places == [
        [p.data_ptr() for p in module.parameters()] for module in (training.module, training._trained)
    ]
    assert not any(map(torch.equal, before, training.module.parameters()))


def test_overflowing_gradients_skip_their_step_in_a_graph_too() -> None:
    recipe = RECIPE.with_changes(precision="fp16", max_grad_norm=None)
    trainings = training_of(recipe, Played()), training_of(recipe, Played(), Execution.EAGER)
    for training in trainings:
        assert training._step.scaler is not None
        training._step.scaler.load_state_dict({**training._step.scaler.state_dict(), "scale": 2.0**30})
    assert results(trainings[0]) == results(trainings[1])
    assert trainings[0].execution == "graph"
    assert_equal_to_the_bit(*trainings)


@pytest.mark.parametrize("capturer", [None, Played()])
def test_a_skipped_first_step_leaves_no_momentum(capturer: Played | None) -> None:
    """torch's fused SGD makes the memory of the momentum in the first step, and then does not write to it."""
    recipe = RECIPE.with_changes(precision="fp16", optimizer="sgd_momentum", max_grad_norm=None)
    training = Fit(recipe, load_dataset(recipe.dataset), capturer=capturer)
    assert training._step.scaler is not None
    training._step.scaler.load_state_dict({**training._step.scaler.state_dict(), "scale": 2.0**120})
    rubbish = [torch.full_like(p, torch.nan) for p in training._trained.parameters()]
    del rubbish  # its memory is that of the next tensors
    with training.tried() as (step, _):
        step()
    momentum = [values["momentum_buffer"] for values in training.snapshot().optimizer["state"].values()]
    assert momentum
    assert all(not buffer.any() for buffer in momentum)


class Layer(nn.Identity):
    """A layer of a user's own, which does as it is asked before it passes its input on."""

    def __init__(self, act: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x)


@pytest.fixture
def with_layer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[torch.Tensor], torch.Tensor]], None]:
    """Puts a layer at the front of the networks that are built next; in train mode it does as it is asked."""
    made = layers.Network.forward if "forward" in vars(layers.Network) else nn.Sequential.forward

    def put(act: Callable[[torch.Tensor], torch.Tensor]) -> None:
        layer = Layer(act)

        def forward(self: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
            return made(self, layer(x) if self.training else x)

        monkeypatch.setattr(layers.Network, "forward", forward, raising=False)

    return put


def waits(x: torch.Tensor) -> torch.Tensor:
    return x * 1.5 if x.mean().item() > 99 else x


def takes_chosen_rows(x: torch.Tensor) -> torch.Tensor:
    return x + x[x.flatten(1).mean(1) > 99].sum()


def changes_shape(steps: Iterator[int]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: nn.functional.interpolate(x, size=8 + next(steps) % 3)


def draws_by_python(x: torch.Tensor) -> torch.Tensor:
    return x * random.random()


class RemembersOutside:
    """A layer that reads what it has left in the step before, in a tensor that is new each time."""

    last: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        before, self.last = self.last, x.detach().mean()
        return x if before is None else x + before


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda: waits, r"a step waits for the device \(aten._local_scalar_dense.default\)"),
        (lambda: takes_chosen_rows, r"a step waits for the device \(aten.index.Tensor\)"),
        (lambda: changes_shape(iter(range(99))), r"a step differs from the step before it \(aten.upsample"),
        (lambda: draws_by_python, r"a step differs from the step before it \(aten.mul.Tensor\)"),
        (RemembersOutside, r"a step differs from the step before it \(aten.add.Tensor\)"),
    ],
    ids=["waits", "takes chosen rows", "changes shape", "draws by Python", "remembers outside"],
)
def test_a_network_that_no_graph_can_repeat_stays_eager(
    act: Callable[[], Callable[[torch.Tensor], torch.Tensor]], reason: str, with_layer: Any
) -> None:
    capturer = Played()
    random.seed(0)
    with_layer(act())
    played = training_of(RECIPE, capturer)
    found = results(played)
    random.seed(0)
    with_layer(act())
    eager = training_of(RECIPE, Played(), Execution.EAGER)
    assert found == results(eager)
    assert_equal_to_the_bit(played, eager)
    assert capturer.captures == 0
    assert played.execution == "eager"
    assert played.eager_because is not None
    assert re.match(reason, played.eager_because)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("at", [1, 2], ids=["first capture", "second capture"])
@pytest.mark.parametrize("where", ["after the step", "in the step"])
def test_a_failed_capture_leaves_the_training_as_if_it_had_not_been_tried(
    where: str, at: int, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE.with_changes(precision=precision)
    words = "CUDA error: operation not permitted when stream is capturing\nCompile with ..."

    def fail() -> None:
        if capturer.captures == at:
            torch.rand(3)  # an unfinished step may have drawn numbers
            raise RuntimeError(words)

    capturer = Played(fail if where == "after the step" else lambda: None)
    if where == "in the step":
        made = nn.utils.clip_grad_norm_

        def clip(*args: Any) -> torch.Tensor:
            if capturer.is_capturing:
                fail()
            return made(*args)

        monkeypatch.setattr(nn.utils, "clip_grad_norm_", clip)
    tried = training_of(recipe, capturer)
    eager = training_of(recipe, Played(), Execution.EAGER)
    found = results(tried)
    monkeypatch.undo()
    assert found == results(eager)
    assert_equal_to_the_bit(tried, eager)
    assert capturer.captures == at
    assert tried.execution == "eager"
    assert tried.eager_because == (
        "the capture of a step failed: RuntimeError: CUDA error: operation not permitted when stream is"
        " capturing"
    )


def test_anomaly_detection_stays_eager() -> None:
    capturer = Played()
    training = training_of(RECIPE.with_changes(epochs=1, batch_size=10), capturer)
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        next(training)
    assert training.eager_because == "torch's anomaly detection is on"
    assert capturer.captures == 0


def test_a_batch_larger_than_the_set_is_one_step_an_epoch() -> None:
    recipe = RECIPE.with_changes(batch_size=10_000, epochs=6)
    played, eager, capturer = played_and_eager(recipe)
    assert_equal_to_the_bit(played, eager)
    assert (capturer.captures, capturer.replays) == (1, 3)


def test_a_rare_size_is_trained_without_the_memory_of_graphs() -> None:
    """Of 40 batches an epoch one has an image less: its first steps come when graphs exist."""
    recipe = RECIPE.with_changes(batch_size=8, max_train_samples=40 * 8 - 1, epochs=4, ema_decay=None)
    played, eager, capturer = played_and_eager(recipe)
    assert_equal_to_the_bit(played, eager)
    assert (played.execution, played.eager_because) == ("graph", None)
    assert capturer.releases > 1


def test_tried_steps_become_graphs_of_all_sizes_and_stay_in_the_block() -> None:
    capturer = Played()
    training = training_of(RECIPE, capturer)
    with training.tried() as (step, validate):
        for _ in range(20):
            step()
        validate()
    assert (capturer.captures, capturer.replays) == (2, 20 - NUM_WARM_UP)


def test_a_training_is_freed_with_its_last_reference() -> None:
    """A worker's next training needs the memory of its graphs, and does not wait for the collector."""
    training = training_of(RECIPE, Played())
    next(training)
    network = weakref.ref(training._trained)
    gc.disable()
    try:
        del training
        assert network() is None
    finally:
        gc.enable()
