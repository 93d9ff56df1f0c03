"""Which parameters an optimizer decays, and what it refuses; the updates are in the contract suite."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.networks.registry import build_model
from eml_models.training.optimizers import OPTIMIZERS, build_optimizer, get_optimizer_spec


def small_cnn() -> torch.nn.Module:
    return build_model("small_cnn", input_shape=(1, 8, 8), num_classes=10, width=4)  # type: ignore[no-any-return]


def test_weight_decay_is_for_convolutions_and_linear_weights_only() -> None:
    module = small_cnn()
    optimizer = build_optimizer("adamw", module, learning_rate=0.1, weight_decay=0.01)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in module.named_parameters():
        owner = module.get_submodule(name.rpartition(".")[0])
        is_norm = isinstance(owner, torch.nn.BatchNorm2d)
        expected = 0.0 if is_norm or name.endswith("bias") else 0.01
        assert decay.pop(id(parameter)) == expected, name
    assert decay == {}


def test_decay_leaves_norms_and_biases_where_they_are() -> None:
    module = small_cnn()
    optimizer = build_optimizer("sgd", module, learning_rate=0.5, weight_decay=0.5)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in module.named_parameters():
        factor = 0.75 if parameter.ndim > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name], msg=name)


def test_frozen_parameters_are_left_out() -> None:
    module = torch.nn.Linear(2, 2)
    module.bias.requires_grad_(False)
    optimizer = build_optimizer("sgd", module, learning_rate=0.1)
    assert [p for group in optimizer.param_groups for p in group["params"]] == [module.weight]


def test_momentum_defaults_to_the_table() -> None:
    for name, momentum in {"sgd": 0, "sgd_momentum": 0.9, "nesterov": 0.9, "rmsprop": 0}.items():
        assert build_optimizer(name, small_cnn(), learning_rate=0.1).defaults["momentum"] == momentum
    assert (
        build_optimizer("rmsprop", small_cnn(), learning_rate=0.1, momentum=0.5).defaults["momentum"] == 0.5
    )


def test_unknown_optimizer_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="unknown optimizer 'adamax'; known: adam, adamw"):
        get_optimizer_spec("adamax")


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_momentum_where_none_is_taken_is_an_error(name: str) -> None:
    with pytest.raises(InvalidValueError, match=f"optimizer '{name}' takes no momentum, got 0.9"):
        build_optimizer(name, small_cnn(), learning_rate=0.1, momentum=0.9)


TRAINING = """
import sys
from eml_models.training.loop import fit
from eml_models.training.optimizers import OPTIMIZERS
from eml_models.training.recipe import Recipe

for name in OPTIMIZERS:
    for model in ("small_cnn", "mobilenet", "resnet18"):
        options = {"width": 8} if model == "resnet18" else {}
        recipe = Recipe(optimizer=name, model=model, model_options=options, learning_rate=1e-4, epochs=2,
                        max_train_samples=64, batch_size=32, ema_decay=0.9)
        training = fit(recipe)
        next(training)
        snapshot = training.snapshot()
        list(fit(recipe, resume_from=snapshot))
print(*(name for name in ("torch", "torch._dynamo", "torch._inductor") if name in sys.modules))
"""


def test_training_imports_no_compiler() -> None:
    """It is a third of what a process loads before its first step."""
    done = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True)
    assert done.stdout.split() == ["torch"], done.stderr


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_equal_those_of_torchs_own_class_to_the_bit(name: str) -> None:
    ours, theirs = small_cnn(), small_cnn()
    theirs.load_state_dict(ours.state_dict())
    optimizer = build_optimizer(name, ours, learning_rate=0.05, weight_decay=0.01)
    groups = build_optimizer(name, theirs, learning_rate=0.05, weight_decay=0.01).param_groups
    known = getattr(torch.optim, get_optimizer_spec(name).torch_name)(groups)
    images = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for step in range(3):
        for module, steps in ((ours, optimizer), (theirs, known)):
            steps.zero_grad()
            module(images).square().mean().backward()
            steps.step()
        if step == 1:
            optimizer.load_state_dict(copy.deepcopy(known.state_dict()))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert repr(optimizer).splitlines()[0] == repr(known).splitlines()[0]
