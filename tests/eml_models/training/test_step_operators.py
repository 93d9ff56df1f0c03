"""A training step's operators, counted: none is added without notice, because a GPU waits for each launch."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.op_counts import NETWORKS, count_step

BUDGETS = {
    # fp32, bf16, bf16 with label smoothing
    "small CNN": (35, 39, 42),
    "ResNet-18": (143, 147, 150),
    "MobileNet x0.525": (311, 315, 318),
}
HALF = {"precision": "bf16"}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("case", range(3), ids=["fp32", "bf16", "smoothed"])
def test_a_step_launches_no_more_operators_than_planned(network: str, case: int) -> None:
    changes: dict[str, Any] = ({}, HALF, {**HALF, "label_smoothing": 0.1})[case]
    assert count_step(**NETWORKS[network], **changes).total() == BUDGETS[network][case]


def test_16_bits_cast_the_logits_and_their_gradient_only() -> None:
    counts = count_step(**NETWORKS["ResNet-18"], **HALF)
    assert counts["_to_copy"] == 2
    assert counts["_foreach_copy_"] == 2
