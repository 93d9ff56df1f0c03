"""What a step does beside forward and backward, on CUDA tensors without values: it waits for no device.

A fake tensor has no value, so code that copies a value to the host (`item`, a branch) raises an error. torch
runs a backward pass on such tensors only where there is a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from eml_models.latency.counting.operators import launches
from eml_models.networks.registry import build_model
from eml_models.training.half_weights import HalfWeights
from eml_models.training.loss import train_loss
from eml_models.training.optimizers import OPTIMIZERS, build_optimizer


class Recorded(TorchDispatchMode):
    """Notes what is dispatched; torch has no fake form of its fused SGD, which changes tensors in place."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if launches(func):
            self.names.append(func.overloadpacket.__name__)
        if func is torch.ops.aten._fused_sgd_.default:
            assert all(tensor.device.type == "cuda" for tensors in args[:3] for tensor in tensors)
            return None
        return func(*args, **(kwargs or {}))


@contextmanager
def fake_cuda() -> Iterator[Recorded]:
    with FakeTensorMode(), torch.device("cuda"), Recorded() as recorded:
        yield recorded


def gradients_for(module: nn.Module) -> None:
    for weight in module.parameters():
        weight.grad = torch.empty_like(weight)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_update_waits_for_the_device(name: str) -> None:
    with fake_cuda() as recorded:
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        optimizer = build_optimizer(name, module, learning_rate=0.1, weight_decay=0.01)
        for _ in range(3):
            gradients_for(module)
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            recorded.names.clear()
            optimizer.step()
        state = [value for kept in optimizer.state.values() for value in kept.values()]
    assert {value.device.type for value in state if isinstance(value, torch.Tensor)} <= {"cuda"}
    if OPTIMIZERS[name].fused:
        assert len(recorded.names) <= 4  # of two groups
    else:
        assert all(name.startswith("_foreach") for name in recorded.names)


def test_weights_are_cast_without_waiting_for_the_device() -> None:
    with fake_cuda() as recorded:
        module = build_model("mobilenet", input_shape=(3, 32, 32), num_classes=10)
        half = HalfWeights(module, torch.bfloat16)
        with half.used():
            for weight in module.parameters():
                weight.grad = torch.empty_like(weight)
            recorded.names.clear()
            half.fetch_gradients()
            half.update()
    assert recorded.names == ["_foreach_copy_", "_foreach_copy_"]


def test_a_smoothed_loss_on_cuda_takes_few_operators() -> None:
    with fake_cuda() as recorded, torch.no_grad():
        logits, labels = torch.empty(8, 10), torch.empty(8, dtype=torch.int64)
        recorded.names.clear()
        assert train_loss(logits, labels, smoothing=0.1).shape == ()
    assert recorded.names == [
        *("_log_softmax", "full_like", "scatter_", "mul", "sum"),
    ]
