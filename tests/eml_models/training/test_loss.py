"""The training loss of a GPU against torch's, on a CPU."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from eml_models.training.loss import smoothed_cross_entropy, train_loss


@pytest.mark.parametrize("smoothing", [0.1, 0.5, 0.999])
@pytest.mark.parametrize(("count", "classes"), [(1, 2), (7, 10), (128, 100)])
def test_smoothing_equals_torchs_with_its_gradient(count: int, classes: int, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(count)
    logits = (5 * torch.randn(count, classes, generator=generator)).requires_grad_()
    labels = torch.randint(classes, (count,), generator=generator)
    for factor in (1.0, 1024.0):  # fp16's loss is scaled
        ours = smoothed_cross_entropy(logits, labels, smoothing)
        theirs = cross_entropy(logits, labels, label_smoothing=smoothing)
        torch.testing.assert_close(ours, theirs)
        (mine,) = torch.autograd.grad(factor * ours, logits)
        (other,) = torch.autograd.grad(factor * theirs, logits)
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bits_are_computed_in_fp32_as_autocast_does(dtype: torch.dtype) -> None:
    logits = torch.randn(9, 10, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    labels = torch.arange(9)
    with torch.autocast("cpu", dtype):
        ours = smoothed_cross_entropy(logits, labels, 0.1)
    theirs = cross_entropy(logits.float(), labels, label_smoothing=0.1)
    assert ours.dtype is torch.float32
    torch.testing.assert_close(ours, theirs)
    (mine,), (other,) = (torch.autograd.grad(loss, logits) for loss in (ours, theirs))
    assert mine.dtype is dtype
    torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_on_a_cpu_is_torchs_to_the_bit(smoothing: float) -> None:
    logits, labels = torch.randn(9, 10, generator=torch.Generator().manual_seed(0)), torch.arange(9)
    ours = train_loss(logits, labels, smoothing=smoothing)
    assert torch.equal(ours, cross_entropy(logits, labels, label_smoothing=smoothing))
