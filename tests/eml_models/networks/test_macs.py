"""Planned MACs and parameters against what fvcore counts in the built module, to the unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from eml_models.errors import InvalidValueError
from eml_models.networks.macs import count_macs
from eml_models.networks.registry import build_model

Shape = tuple[int, int, int]

GRID: list[tuple[str, Shape, dict[str, object]]] = [
    ("small_cnn", (1, 8, 8), {}),
    ("small_cnn", (1, 28, 28), {"width": 32, "depth": 2}),
    ("small_cnn", (3, 32, 32), {"width": 8, "depth": 5, "convs": 3}),
    ("small_cnn", (4, 9, 17), {"width": 7, "depth": 6, "dropout": 0.5}),
    ("resnet18", (3, 32, 32), {}),
    ("resnet18", (3, 32, 32), {"width": 16}),
    ("resnet18", (1, 8, 8), {"width": 8, "zero_gamma": True}),
    ("resnet18", (1, 28, 28), {"width": 5}),
    ("resnet18", (3, 64, 48), {"width": 16, "stem": "imagenet"}),
    ("resnet18", (3, 8, 8), {"width": 8, "stem": "imagenet"}),
    ("mobilenet", (3, 32, 32), {}),
    ("mobilenet", (3, 32, 32), {"width_mult": 0.5}),
    ("mobilenet", (3, 32, 32), {"width_mult": 1.4, "expansion": 4.0}),
    ("mobilenet", (3, 32, 32), {"width_mult": 0.35, "expansion": 9.5}),
    ("mobilenet", (1, 28, 28), {"width_mult": 0.1}),
    ("mobilenet", (1, 8, 8), {"width_mult": 0.25, "expansion": 1.0}),
    ("mobilenet", (3, 224, 224), {"width_mult": 0.35, "strides": "imagenet"}),
    ("mobilenet", (3, 12, 20), {"width_mult": 0.2, "strides": "imagenet"}),
    ("mobilenet", (3, 32, 32), {"widths": [0.5, 1, 2, 0.3, 1, 0.7, 0.1], "width_mult": 0.5}),
    ("mobilenet", (3, 32, 32), {"expansions": [2, 1, 3.3, 8, 4, 6, 1.5], "width_mult": 0.5}),
    ("mobilenet", (3, 32, 32), {"depths": [2, 1, 1, 2, 1, 1, 2], "width_mult": 0.3, "activation": "relu6"}),
    ("mobilenet", (3, 17, 17), {"width_mult": 0.3, "divisor": 1, "head_channels": 64, "dropout": 0.2}),
    ("mobilenet", (5, 32, 32), {"width_mult": 0.3, "divisor": 3, "activation": "relu"}),
    ("mobilenet", (3, 32, 32), {"width_mult": 0.35, "se_ratio": 0.25}),
    ("mobilenet", (1, 8, 8), {"width_mult": 0.2, "se_ratio": 1, "divisor": 1, "expansion": 1.0}),
    ("mobilenet", (3, 32, 32), {"width_mult": 0.35, "kernels": [3, 5, 7, 1, 5, 3, 5], "stem_channels": 12}),
    (
        "mobilenet",
        (1, 28, 28),
        {"width_mult": 0.2, "kernels": [5] * 7, "se_ratio": 0.1, "strides": "imagenet"},
    ),
]


@pytest.mark.parametrize(("model", "shape", "options"), GRID)
def test_plan_agrees_with_fvcore_to_the_unit(model: str, shape: Shape, options: dict[str, object]) -> None:
    module = build_model(model, input_shape=shape, num_classes=10, **options)
    assert count_macs(module, shape) == module.plan.macs
    assert sum(weight.numel() for weight in module.parameters()) == module.plan.parameters


def test_counting_leaves_the_module_as_found() -> None:
    module = build_model("small_cnn", input_shape=(1, 8, 8), num_classes=10)
    module.stage1.eval()
    training = [part.training for part in module.modules()]
    state = {name: value.clone() for name, value in module.state_dict().items()}
    generator = torch.get_rng_state()
    count_macs(module, (1, 8, 8))
    assert [part.training for part in module.modules()] == training
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)


def test_flags_come_back_even_if_the_module_fails() -> None:
    module = build_model("small_cnn", input_shape=(1, 8, 8), num_classes=10)
    with pytest.raises(InvalidValueError, match=r"cannot be run on zeros of shape \(1, 3, 8, 8\).*channels"):
        count_macs(module, (3, 8, 8))
    assert all(part.training for part in module.modules())


def test_counting_is_quiet(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    count_macs(build_model("mobilenet", input_shape=(3, 8, 8), num_classes=10, width_mult=0.1), (3, 8, 8))
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_macs_of_a_linear_layer_and_a_grouped_convolution_by_hand() -> None:
    module = nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=2, padding=1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(512, 3)
    )
    assert count_macs(module, (4, 8, 8)) == 9 * 2 * 8 * 64 + 512 * 3


def test_half_precision_modules_are_counted() -> None:
    module = build_model("small_cnn", input_shape=(1, 8, 8), num_classes=10).to(torch.bfloat16)
    assert count_macs(module, (1, 8, 8)) == module.plan.macs


class Runs(nn.Module):
    """A module that runs a function."""

    def __init__(self, function: Callable[[torch.Tensor], object], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, values: torch.Tensor) -> object:
        return self.function(values)


class Squared(torch.autograd.Function):
    """A function of the user's own, in which nobody can look."""

    @staticmethod
    def forward(ctx: object, values: torch.Tensor) -> torch.Tensor:
        return values @ values.T

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


LSTM = nn.LSTM(8, 8)


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda x: x @ x.transpose(1, 2), "matmul"),
        (lambda x: torch.mm(x[0], x[0].T), "mm"),
        (lambda x: torch.mv(x[0], x[0, 0]), "mv"),
        (lambda x: torch.einsum("nij,nkj->nik", x, x), "einsum"),
        (lambda x: nn.functional.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention"),
        (lambda x: LSTM(x)[0], "lstm"),
        (lambda x: Squared.apply(x[0]), "PythonOp.Squared"),
    ],
)
def test_products_that_are_not_counted_are_named(
    function: Callable[[torch.Tensor], object], operator: str
) -> None:
    with pytest.warns(UserWarning, match=rf"it also runs {operator}, which are not counted"):
        assert count_macs(Runs(function, lstm=LSTM), (4, 8)) == 0


def test_attention_is_named_beside_the_layers_that_are_counted() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, dim_feedforward=32, batch_first=True)
    with pytest.warns(UserWarning, match="scaled_dot_product_attention|_transformer_encoder_layer_fwd"):
        assert count_macs(layer, (4, 16)) == 4 * (16 * 48 + 16 * 16 + 2 * 16 * 32)
    assert layer.training


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Linear(8, 4), (8,), 32),
        (nn.Conv1d(3, 5, 3), (3, 8), 6 * 5 * 3 * 3),
        (nn.Conv3d(3, 5, 3), (3, 8, 8, 8), 6**3 * 5 * 3 * 27),
        (nn.ConvTranspose2d(3, 5, 2, stride=2), (3, 8, 8), 64 * 3 * 5 * 4),
        (nn.ReLU(), (3, 8, 8), 0),
    ],
)
def test_layers_of_any_module_by_hand(module: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    assert count_macs(module, shape) == expected


@pytest.mark.parametrize("answer", [dict, list, tuple])
def test_answer_may_be_a_collection(answer: type) -> None:
    layer = nn.Conv2d(3, 4, 3)
    kinds = {
        dict: lambda x: {"out": layer(x), "count": 3},
        list: lambda x: [layer(x)],
        tuple: lambda x: (layer(x),),
    }
    assert count_macs(Runs(kinds[answer], layer=layer), (3, 8, 8)) == 36 * 4 * 27


def test_layer_that_runs_twice_counts_twice() -> None:
    layer = nn.Linear(8, 8)
    assert count_macs(nn.Sequential(layer, layer), (8,)) == 128


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x0_5", "resnet18"])
def test_torchvisions_networks_have_the_macs_that_it_states(name: str) -> None:
    stated_g = models.get_model_weights(name).DEFAULT.meta["_ops"]
    macs = count_macs(models.get_model(name, weights=None), (3, 224, 224))
    assert macs / 1e9 == pytest.approx(stated_g, abs=0.0051)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (lambda x: x, (3, 8, 8), "MACs are counted of an nn.Module, got function"),
        (nn.Linear(8, 4), (0,), r"must be whole numbers above 0, such as \(3, 32, 32\), got \(0,\)"),
        (nn.Linear(8, 4), (8.0,), "must be whole numbers above 0"),
        (nn.Linear(8, 4, device="meta"), (8,), "Linear is on the meta device; build it on the CPU"),
        (nn.Embedding(8, 4), (8,), "Embedding cannot be run on zeros of shape"),
    ],
)
def test_what_cannot_be_counted_is_refused_in_words(module: nn.Module, shape: Any, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        count_macs(module, shape)
