"""The fewest kernels of an operator on CUDA, against torch's own choices."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from eml_models.latency.counting.kernels import is_cudnn_norm
from eml_models.latency.counting.operators import OperatorCounts, count_operators
from eml_models.networks.registry import build_model

FLOATS = (torch.float32, torch.float16, torch.bfloat16)


@pytest.mark.skipif(
    not hasattr(torch._C, "_select_batch_norm_backend") or not torch.backends.cudnn.is_available(),
    reason="this torch does not say, or has no cuDNN",
)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("images", FLOATS)
@pytest.mark.parametrize("weight", FLOATS)
def test_the_kernel_of_a_batch_norm_is_torchs_choice(
    images: torch.dtype, weight: torch.dtype, training: bool
) -> None:
    if weight not in (torch.float32, images):
        pytest.skip("torch refuses it")
    with FakeTensorMode():
        maps = torch.empty(8, 16, 4, 4, dtype=images, device="cuda").to(memory_format=torch.channels_last)
        one = torch.empty(16, dtype=weight, device="cuda")
        backend = torch._C._select_batch_norm_backend(maps, one, one, one, one, training, 1e-5)
    assert is_cudnn_norm(images, weight) == (backend == torch._C._BatchNormBackend.Cudnn)


def counted(
    *, train: bool, autocast: torch.dtype | None = None, channels_last: bool = False
) -> OperatorCounts:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
    if channels_last:
        model.to(memory_format=torch.channels_last)
    model = nn.Sequential(model, nn.Flatten(), nn.Linear(4 * 16, 10))
    return count_operators(model, (3, 8, 8), batch_size=2, train=train, autocast=autocast)


def extra(counts: OperatorCounts) -> dict[str, int]:
    """The kernels of each operator that launches more than one."""
    return {one.name: one.kernels for one in counts.operators if one.kernels > 1}


def test_a_forward_pass_in_fp32_is_one_kernel_per_operator() -> None:
    assert extra(counted(train=False)) == {}


def test_a_backward_convolution_is_a_kernel_per_gradient() -> None:
    counts = counted(train=True)
    of_convolutions = [one.kernels for one in counts.operators if one.name == "convolution_backward"]
    assert of_convolutions == [3, 1]  # the second has a bias; nobody asks for the gradient of the images


@pytest.mark.parametrize(("channels_last", "backward"), [(False, 1), (True, 2)])
def test_bf16_takes_torchs_own_batch_norm_of_several_kernels(channels_last: bool, backward: int) -> None:
    counts = counted(train=True, autocast=torch.bfloat16, channels_last=channels_last)
    kernels = {one.name: one.kernels for one in counts.operators}
    assert kernels["native_batch_norm"] == 3
    assert kernels["native_batch_norm_backward"] == backward


def test_kernels_of_a_train_step_stay_below_those_on_a_card() -> None:
    """Measured on an H200: 278 and 589."""
    found = [
        count_operators(
            build_model(name, input_shape=(3, 32, 32), num_classes=10, **options), (3, 32, 32), train=True
        ).kernels
        for name, options in (("resnet18", {}), ("mobilenet", {"width_mult": 0.525}))
    ]
    assert found == [181, 413]
