"""Bounds of the errors that rounding explains: by hand, and against a measured one."""

from __future__ import annotations

import copy
import math

import pytest
from torch import nn

from eml_models.latency.measuring.error_bounds import bound_error, count_roundings
from eml_models.latency.measuring.folding import fold_batch_norms
from eml_models.latency.measuring.modes import Precision
from eml_models.networks.registry import build_model


def test_the_bound_follows_from_the_types_roundoff_and_the_networks_depth() -> None:
    one = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    assert count_roundings(one) == 4  # two layers: weights and outputs
    # 3 sqrt(4) u + 4 u^2 / (1 - u), and the exponential of that less 1
    for precision, roundoff in (
        (Precision.BF16, 1 / 256),
        (Precision.FP16, 1 / 2048),
        (Precision.TF32, 1 / 2048),
    ):
        exponent = 6 * roundoff + 4 * roundoff**2 / (1 - roundoff)
        assert bound_error(one, precision) == pytest.approx(math.exp(exponent) - 1)
    assert bound_error(one, Precision.FP32) == 1e-4
    four_times = nn.Sequential(*(copy.deepcopy(one) for _ in range(4)))
    assert bound_error(four_times, Precision.FP16) == pytest.approx(
        2 * bound_error(one, Precision.FP16), rel=0.01
    )


def test_the_measured_difference_of_a_gpu_is_within_its_bound() -> None:
    """0.062 on an H200: MobileNet at a quarter of its width in bf16, folded."""
    deep = build_model("mobilenet", input_shape=(3, 32, 32), num_classes=10, width_mult=0.25).eval()
    fold_batch_norms(deep)
    assert 0.062 < bound_error(deep, Precision.BF16) < 0.2
    assert bound_error(deep, Precision.FP16) < 0.025
