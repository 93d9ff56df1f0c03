"""The roofline of known devices against written-out values."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import pytest
import torch
from latency_testing import MobileNetV2

from eml_models.latency.counting.operators import OperatorCounts, count_operators
from eml_models.latency.counting.roofline import DEVICES, Precision, estimate_roofline, launch_bound_below
from eml_models.networks.registry import build_model

SHAPE = (3, 32, 32)


NETWORKS = {
    "resnet18": lambda: build_model("resnet18", input_shape=SHAPE, num_classes=10),
    "mobilenetv2": MobileNetV2,
}


@cache
def counted(name: str, batch_size: int, **how: Any) -> OperatorCounts:
    return count_operators(NETWORKS[name](), SHAPE, batch_size=batch_size, **how)


@pytest.mark.parametrize(
    ("name", "device", "roofline_ms", "launch_bound"),
    [
        ("resnet18", "a100-40g", 1.00, 43),
        ("mobilenetv2", "a100-40g", 1.71, 63),
        ("mobilenetv2", "h100", 0.79, 135),
    ],
)
def test_roofline_of_gpus(name: str, device: str, roofline_ms: float, launch_bound: int) -> None:
    count = partial(counted, name, dtype=torch.float16)
    roofline = estimate_roofline(count(128), DEVICES[device], Precision.FP16)
    assert roofline.seconds * 1e3 == pytest.approx(roofline_ms, abs=0.005)
    assert launch_bound_below(count, DEVICES[device], Precision.FP16) == launch_bound
