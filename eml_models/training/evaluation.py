"""Computes the loss and accuracy of a network on images without training, and sets the precision.

The training loop calls `evaluate` to validate after each epoch, and once to test. Nothing here chooses
images.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

CUDA_BATCH = 1024
"""Most images per forward pass on CUDA: about 1,000 small images fill a large card, and more only take more
memory than a training step."""

CPU_BATCH_PIXELS = 1 << 14
"""Pixels per forward pass on a CPU: 256 images of digits.

A small CNN then takes 8 us per image of digits, and 15 us with 512 or 4,096 images per pass. On Fashion-MNIST
it takes 70 us with 64 images per pass, and 75 to 175 us with more: larger maps do not fit into the cache, and
malloc returns their pages each time.
"""

CPU_MIN_BATCH = 64

Preparation = Callable[[torch.Tensor], torch.Tensor]
"""Turns stored images into the input of a network."""

LOW_PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The type in which convolutions and linear layers compute, for each precision except fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The quality of a network on images.

    Attributes:
        loss: mean cross-entropy in nats, without label smoothing.
        accuracy: share of correctly classified images, in [0, 1].
    """

    loss: float
    accuracy: float


def compute_dtype(precision: str) -> torch.dtype:
    """The type of prepared images for a precision."""
    return LOW_PRECISIONS.get(precision, torch.float32)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """A context of mixed precision; for fp32 it does nothing.

    The context keeps its cast copies of the weights, so it must end before the second update of the weights.
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

    If the network's outputs are not finite, neither is the loss; the caller must check it. Under `no_grad` an
    autocast context casts each weight once; under `inference_mode` it would cast at each use.

    Args:
        prepare: turns stored images into the module's input, such as
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
    """A size that cuts `count` images into equal batches, so that a GPU runs one shape only.

    The size is the largest divisor of `count` between half of `most` and `most`. If there is none, the size
    is chosen so that the last, smaller batch is as large as possible.
    """
    fewest = -(-count // most)
    for batches in range(fewest, 2 * fewest + 1):
        if count % batches == 0:
            return count // batches
    return -(-count // fewest)
