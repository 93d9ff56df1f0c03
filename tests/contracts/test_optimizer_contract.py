"""What every optimizer must do. A new one needs its first two steps written out here, and nothing else."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from eml_models.training.optimizers import OPTIMIZERS, build_optimizer

RATE = 0.1
TWO_STEPS = {
    "sgd": (-0.2, -0.4),
    "sgd_momentum": (-0.2, -0.2 - 0.38),
    "nesterov": (-0.38, -0.38 - 0.542),
    "adam": (-0.1, -0.2),
    "adamw": (-0.1, -0.2),
    "rmsprop": (-1.0, -1.0 - 0.708881),
}
"""A weight that starts at 0, with gradient 2 at rate 0.1: after one step and after two.

sgd: -0.1 * 2 each. Momentum 0.9: the velocity is 2, then 3.8; Nesterov adds 0.9 times it to the gradient:
3.8, then 5.42. Adam's bias-corrected ratio is 1. RMSprop divides by sqrt(0.01 * 4), then by sqrt(0.0199 * 4).
"""

EVERY = pytest.mark.parametrize("name", OPTIMIZERS)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(5)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
        )


def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    generator = torch.Generator().manual_seed(7)
    images = torch.randn(24, 1, 8, 8, generator=generator)
    labels = torch.arange(24) % 3
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(module(images), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_same_weights(first: nn.Module, second: nn.Module) -> None:
    for (name, value), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(value, other), name


@EVERY
def test_first_steps_are_those_written_out(name: str) -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    optimizer = build_optimizer(name, module, learning_rate=RATE)
    got = []
    for _ in range(2):
        module.weight.grad = torch.full_like(module.weight, 2.0)
        optimizer.step()
        got.append(module.weight.item())
    assert got == pytest.approx(TWO_STEPS[name], abs=1e-6)


@EVERY
def test_training_lowers_the_loss(name: str) -> None:
    module = network()
    losses = train(module, build_optimizer(name, module, learning_rate=0.01), 30)
    assert losses[-1] < 0.8 * losses[0]


@EVERY
def test_same_start_same_weights_to_the_bit(name: str) -> None:
    first, second = network(), network()
    for module in (first, second):
        train(module, build_optimizer(name, module, learning_rate=0.05, weight_decay=0.01), 5)
    assert_same_weights(first, second)


@EVERY
def test_resumed_state_is_equal_to_the_bit(name: str) -> None:
    straight = network()
    optimizer = build_optimizer(name, straight, learning_rate=0.05, weight_decay=0.01)
    train(straight, optimizer, 3)
    resumed = copy.deepcopy(straight)
    again = build_optimizer(name, resumed, learning_rate=0.05, weight_decay=0.01)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(straight, optimizer, 3)
    train(resumed, again, 3)
    assert_same_weights(straight, resumed)


@EVERY
def test_fast_form_agrees_with_the_plain_one(name: str) -> None:
    fast, plain = network(), network()
    train(fast, build_optimizer(name, fast, learning_rate=0.01, weight_decay=0.01), 5)
    optimizer = build_optimizer(name, plain, learning_rate=0.01, weight_decay=0.01)
    for group in optimizer.param_groups:
        group["fused"], group["foreach"] = False, False
    train(plain, optimizer, 5)
    for value, other in zip(fast.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-3, atol=1e-4)


@EVERY
def test_rate_can_be_set_each_step(name: str) -> None:
    module = network()
    optimizer = build_optimizer(name, module, learning_rate=0.05, weight_decay=0.01)
    before = copy.deepcopy(dict(module.named_parameters()))
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    train(module, optimizer, 2)
    assert all(torch.equal(value, before[key]) for key, value in module.named_parameters())


@EVERY
def test_table_names_its_source(name: str) -> None:
    assert OPTIMIZERS[name].name == name
    assert OPTIMIZERS[name].source
