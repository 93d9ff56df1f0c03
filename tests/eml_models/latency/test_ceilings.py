"""What a device's ceilings are measured on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch

from eml_models.latency.bench import ceilings


def test_bandwidth_is_measured_on_bytes_as_networks_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[torch.Tensor] = []

    def best_time(device: torch.device, call: Callable[[], object]) -> float:
        assert isinstance(call, partial)
        moved.extend(call.args)
        return 0.5

    monkeypatch.setattr(ceilings, "_best_time", best_time)
    assert ceilings._measure_bandwidth(torch.device("cpu"), 12_000) == 24_000
    assert [tensor.numel() for tensor in moved] == [1000, 1000]
    for tensor in moved:
        assert tensor.unique().numel() > 900  # zeros would be one, and run faster than memory can
