"""Loss and accuracy of a network on images that it does not learn from, and the precision it computes in.

The training loop validates with it after each epoch and tests with it once; nothing here chooses images.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

CUDA_BATCH = 1024
"""Images a forward pass on CUDA, at most: a large card is full from about 1,000 small images on, and more
only take more memory than a training step does."""

CPU_BATCH_PIXELS = 1 << 14
"""Pixels a forward pass on a CPU: 256 images of digits.

A small CNN takes 8 us an image of digits then, and 15 with 512 or 4,096 at once; on Fashion-MNIST 70 us with
64 at once and 75 to 175 with more: larger maps leave the cache, and malloc gives their pages back each time.
"""

CPU_MIN_BATCH = 64

Preparation = Callable[[torch.Tensor], torch.Tensor]
"""Stored images to what a network takes."""

LOW_PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""What convolutions and linear layers compute in under a precision that is not fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Mean cross-entropy in nats, without label smoothing, and the share of images classed right."""

    loss: float
    accuracy: float


def compute_dtype(precision: str) -> torch.dtype:
    """What images are prepared in."""
    return LOW_PRECISIONS.get(precision, torch.float32)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Mixed precision, or nothing for fp32.

    One context must span one update of the weights at most: it keeps the weights that it has cast.
    """
    if precision not in LOW_PRECISIONS:
        return nullcontext()
    return torch.autocast(device.type, LOW_PRECISIONS[precision])


@torch.no_grad()
def evaluate(
    module: nn.Module,
    prepare: Preparation,
    images_NCHW: torch.Tensor,
    labels: torch.Tensor,
    *,
    precision: str,
) -> Evaluation:
    """Evaluate on all given images; the module is left in eval mode.

    The loss is not finite if the network's outputs are not: callers decide what that means. Without gradients
    (not under `inference_mode`, which turns that off) one autocast context casts each weight once.

    Args:
        prepare: makes of stored images what the module takes, such as
            `eml_models.data.batches.ImagePreparation`.
        images_NCHW: as stored, on the module's device.
    """
    module.eval()
    size = _batch_size(images_NCHW)
    with autocast(labels.device, precision):
        logits = torch.cat([module(prepare(part)).float() for part in torch.split(images_NCHW, size)])
    correct = (logits.argmax(1) == labels).double().mean()
    loss, accuracy = torch.stack([cross_entropy(logits.double(), labels), correct]).tolist()
    return Evaluation(loss=loss, accuracy=accuracy)


def _batch_size(images_NCHW: torch.Tensor) -> int:
    if images_NCHW.device.type == "cuda":
        return even_batch_size(len(images_NCHW), CUDA_BATCH)
    return max(CPU_MIN_BATCH, CPU_BATCH_PIXELS // (images_NCHW.shape[2] * images_NCHW.shape[3]))


def even_batch_size(count: int, most: int) -> int:
    """The size of equal batches of `count` images, so that a GPU meets one shape only.

    It is the largest divisor of `count` between half of `most` and `most`. Where there is none, all batches
    but the last have the size that makes the last one as large as can be.
    """
    fewest = -(-count // most)
    for batches in range(fewest, 2 * fewest + 1):
        if count % batches == 0:
            return count // batches
    return -(-count // fewest)
