"""Planned MACs and parameters against what fvcore counts in the built module, to the unit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

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
    with pytest.raises(RuntimeError, match="channels"):
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


def test_matrix_products_elsewhere_are_refused_not_left_out() -> None:
    class Attention(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            rows = images.flatten(2)
            return rows @ rows.transpose(1, 2)

    with pytest.raises(InvalidValueError, match="also runs"):
        count_macs(Attention(), (3, 8, 8))
