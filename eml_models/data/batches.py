"""Cuts an epoch into batches for training: gathered, augmented, normalised, on the device.

The training loop iterates over `iter_blocks`. Many batches are prepared together and handed out as views, so
that fetching a batch costs no more than a slice. There is no DataLoader and no worker process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from eml_models.data.augment import augment, cutout
from eml_models.data.loading import Dataset

BLOCK_BYTES = 16 << 20
"""Size of the images prepared together on a CPU, in fp32: all of digits, 5,350 images of MNIST, 1,365 of
CIFAR-10."""

CUDA_BLOCK_BYTES = 256 << 20
"""Size on CUDA: 21,845 images of CIFAR-10. Its 28 kernels are then few beside those of its steps."""

CARD_PER_BLOCK = 64
"""The divisor of a card's memory that bounds a block on CUDA. Preparing a block takes four times its size.

The bound is no part of the free memory, because the random changes of images depend on the blocks: a
neighbour on the card would change the results.
"""

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImagePreparation:
    """Turns stored images into the input of a network.

    Attributes:
        dataset: gives the mean and the standard deviation.
        dtype: of the result; the normalisation itself runs in fp32.
        memory_format: contiguous or channels_last.
    """

    dataset: Dataset
    dtype: torch.dtype
    memory_format: torch.memory_format

    def __call__(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """(x - mean) / std of each channel."""
        mean, std = (t.view(1, -1, 1, 1) for t in (self.dataset.mean, self.dataset.std))
        normal = images_NCHW.float().sub_(mean) if images_NCHW.dtype == torch.uint8 else images_NCHW - mean
        return normal.div_(std).to(self.dtype, memory_format=self.memory_format)


def batch_bounds(count: int, batch_size: int) -> list[int]:
    """The start of each batch, then `count`: the fewest batches of at most `batch_size` images.

    The sizes of the batches differ by at most one image. The alternatives are worse for small sets. A last
    batch of the remaining images may hold a single image: some batch norms cannot train on it, and it weighs
    as much as 128 others. Dropping that batch loses 11 % of digits.
    """
    num_batches = -(-count // batch_size)
    return [count * i // num_batches for i in range(num_batches + 1)]


def iter_blocks(
    prepare: ImagePreparation,
    order: torch.Tensor,
    bounds: list[int],
    *,
    augmentation: str,
    erased_share: float,
    generator: torch.Generator,
) -> Iterator[list[Batch]]:
    """Lists of prepared batches of training images and labels, in the given order.

    Args:
        order: positions of training images.
        bounds: start of each batch in `order`, then the end of the last batch; see `batch_bounds`.
        augmentation: a name of `eml_models.data.augment.AUGMENTATIONS`.
        erased_share: the share for `cutout`; 0 erases nothing.
        generator: draws the random changes, on the data set's device.
    """
    dataset = prepare.dataset
    batch_bytes = 4 * dataset.train_images_NCHW[0].numel() * max(1, bounds[1] - bounds[0])
    batches_per_block = max(1, block_bytes(order.device) // batch_bytes)
    for first in range(0, len(bounds) - 1, batches_per_block):
        last = min(first + batches_per_block, len(bounds) - 1)
        chosen = order[bounds[first] : bounds[last]]
        images = prepare(augment(dataset.train_images_NCHW[chosen], augmentation, generator))
        if erased_share:
            images = cutout(images, erased_share, generator)
        labels = dataset.train_labels[chosen]
        sizes = [bounds[i + 1] - bounds[i] for i in range(first, last)]
        yield list(zip(torch.split(images, sizes), torch.split(labels, sizes), strict=True))


def block_bytes(device: torch.device) -> int:
    """The size of the images prepared together on a device, in fp32: the same for all precisions."""
    if device.type != "cuda":
        return BLOCK_BYTES
    return min(CUDA_BLOCK_BYTES, torch.cuda.get_device_properties(device).total_memory // CARD_PER_BLOCK)
