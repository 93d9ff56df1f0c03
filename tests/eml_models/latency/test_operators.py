"""Counts of operators against written-out values, and against the plan."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from latency_testing import MobileNetV2
from torch import nn

from eml_models.latency.counting.operators import OperatorCounts, OperatorKind, count_operators
from eml_models.networks.plan import LayerKind
from eml_models.networks.registry import build_model, build_plan

SHAPE = (3, 32, 32)
NETWORKS = {
    "resnet18": lambda: build_model("resnet18", input_shape=SHAPE, num_classes=10),
    "mobilenetv2": MobileNetV2,
}


@cache
def counted(name: str, batch_size: int, **how: Any) -> OperatorCounts:
    return count_operators(NETWORKS[name](), SHAPE, batch_size=batch_size, **how)


# Counted in torch 2.15.0 by an independent tool; torch 2.11 to 2.14 dispatch the same operators.
OPERATORS = {
    # forward, forward under autocast, train step, train step under autocast
    "resnet18": (67, 90, 162, 209),
    "mobilenetv2": (166, 226, 397, 518),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_operators_are_those_of_eager_torch(name: str) -> None:
    found = tuple(
        counted(name, 1, autocast=dtype, train=train).num_operators
        for train in (False, True)
        for dtype in (None, torch.bfloat16)
    )
    assert found == OPERATORS[name], f"torch {torch.__version__} dispatches other operators"


def test_autocast_casts_every_weight_and_the_images_once() -> None:
    counts = counted("resnet18", 1, autocast=torch.bfloat16, train=False)
    assert counts.casts == 20 + 2 + 1  # convolutions, the classifier's weight and bias, the images


@pytest.mark.parametrize(
    ("name", "macs", "activations", "intensity"),
    [("resnet18", 555_422_720, 614_400, 124.6), ("mobilenetv2", 91_154_944, 1_724_928, 8.8)],
)
def test_costs_of_a_batch_in_half_precision(name: str, macs: int, activations: int, intensity: float) -> None:
    counts = counted(name, 128, dtype=torch.float16)
    assert counts.macs == 128 * macs
    assert counts.activations == 128 * activations
    assert counts.intensity == pytest.approx(intensity, abs=0.05)


def test_depthwise_convolutions_are_a_seventh_of_the_traffic() -> None:
    counts = counted("mobilenetv2", 128, dtype=torch.float16)
    kinds = counts.by_kind()
    assert sum(part.num_bytes for part in kinds.values()) == counts.num_bytes
    assert kinds[OperatorKind.DEPTHWISE].num_bytes / counts.num_bytes == pytest.approx(0.14, abs=0.005)
    assert kinds[OperatorKind.DEPTHWISE].kernels == 17


@pytest.mark.parametrize(
    ("model", "options"), [("resnet18", {"width": 8}), ("mobilenet", {"width_mult": 0.2})]
)
def test_counts_agree_with_the_plan(model: str, options: dict[str, object]) -> None:
    plan = build_plan(model, input_shape=SHAPE, num_classes=10, **options)
    counts = count_operators(build_model(plan), SHAPE, batch_size=3)
    unlaunched = (LayerKind.FLATTEN, LayerKind.DROPOUT)
    assert counts.kernels == sum(layer.kind not in unlaunched for layer in plan.layers)
    assert counts.macs == 3 * plan.macs
    assert counts.activations == 3 * plan.activations
    # the plan leaves out the classifier's bias and nothing else
    assert counts.num_bytes == pytest.approx(plan.traffic_bytes(batch=3), rel=1e-3)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_linear_layers_count_with_and_without_a_bias_and_their_gradients_do_not(
    bias: bool, train: bool
) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 7, bias=bias), nn.Linear(7, 5, bias=bias))
    assert count_operators(model, (3, 4, 4), batch_size=2, train=train).macs == 2 * (48 * 7 + 7 * 5)


def test_counting_leaves_the_model_as_found() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    count_operators(model, (3, 8, 8), batch_size=2, train=True)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
