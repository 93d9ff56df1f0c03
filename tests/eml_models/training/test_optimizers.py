"""Which parameters an optimizer decays, and what it refuses; the updates are in the contract suite."""

from __future__ import annotations

import pytest
import torch

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.networks.registry import build_model
from eml_models.training.optimizers import build_optimizer, get_optimizer_spec


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
