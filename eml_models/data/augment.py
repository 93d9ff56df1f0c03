"""Changes training images at random, a whole batch at a time, on the device of the images.

Each image of a batch gets its own random change, drawn from the caller's generator. The names are those of
`eml_models.training.recipe.Augmentation`. `eml_models.data.batches` calls `augment` on stored images, then
normalises them, and then calls `cutout`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from eml_models.errors import UnknownNameError

CROP_FRACTION = 8
"""Crops move an image by up to size // 8 pixels, at least 1: 4 of 32 (usual for CIFAR), 3 of 28, 1 of 8."""


def keep(images_NCHW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The images without a change."""
    return images_NCHW


def flip(images_NCHW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror left and right with probability 1/2."""
    chance = torch.rand(len(images_NCHW), 1, 1, 1, generator=generator, device=images_NCHW.device)
    return torch.where(chance < 0.5, images_NCHW.flip(3), images_NCHW)


def crop(images_NCHW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Move by up to size // 8 pixels in each direction, filling the border with its mirror image.

    A border of zeros would have a colour that no image has: the border of MNIST's images is not zero after
    normalising. Mirrored borders suit every set. Whole rows are gathered from the flat memory of the padded
    images. Speed on one CPU thread, in uint8 images of 32 px per second: this way 300,000; a view by `unfold`
    indexed by image 190,000; gathering by the index of each pixel 55,000.
    """
    count, channels, height, width = images_NCHW.shape
    device = images_NCHW.device
    pad_y, pad_x = (max(1, size // CROP_FRACTION) for size in (height, width))
    padded = _mirror_borders(images_NCHW, pad_y, pad_x)
    y, x = (
        torch.randint(2 * pad + 1, (count, 1, 1), generator=generator, device=device)
        for pad in (pad_y, pad_x)
    )
    maps = torch.arange(count * channels, device=device).view(count, channels, 1)
    rows = maps * padded.shape[2] + y + torch.arange(height, device=device)
    starts = rows * padded.shape[3] + x
    return padded.flatten().unfold(0, width, 1).index_select(0, starts.flatten()).view_as(images_NCHW)


def crop_flip(images_NCHW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """`crop`, then `flip`."""
    return flip(crop(images_NCHW, generator), generator)


AUGMENTATIONS: Mapping[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = MappingProxyType(
    {"none": keep, "flip": flip, "crop": crop, "crop_flip": crop_flip}
)
"""Every augmentation by name."""


def cutout(images_NCHW: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Set a square around a random pixel of each image to zero; the square is cut at the border.

    For normalised images, where zero is the mean colour. It matters that the square may cross the border,
    because some images then stay nearly whole (arXiv 1708.04552).

    Args:
        share: side of the square as a share of the image's side, in each direction, rounded to pixels.
        generator: on the device of the images.
    """
    count, _, height, width = images_NCHW.shape
    device = images_NCHW.device
    inside = torch.ones((), dtype=torch.bool, device=device)
    for side, shape in ((height, (1, height, 1)), (width, (1, 1, width))):
        length = round(share * side)
        first = torch.randint(side, (count, 1, 1), generator=generator, device=device) - length // 2
        place = torch.arange(side, device=device).view(shape)
        inside = inside & (place >= first) & (place < first + length)
    return images_NCHW.masked_fill(inside.unsqueeze(1), 0)


def augment(images_NCHW: torch.Tensor, name: str, generator: torch.Generator) -> torch.Tensor:
    """The images, changed at random, with the same type and shape; the input is not modified.

    Args:
        generator: on the device of the images.

    Raises:
        UnknownNameError: there is no such augmentation.
    """
    if name not in AUGMENTATIONS:
        raise UnknownNameError("augmentation", name, AUGMENTATIONS)
    return AUGMENTATIONS[name](images_NCHW, generator)


def _mirror_borders(images_NCHW: torch.Tensor, pad_y: int, pad_x: int) -> torch.Tensor:
    """Reflection padding. `torch.nn.functional.pad` reflects bytes on the CPU only."""
    left, right = images_NCHW[..., 1 : pad_x + 1].flip(3), images_NCHW[..., -pad_x - 1 : -1].flip(3)
    wide = torch.cat([left, images_NCHW, right], 3)
    above, below = wide[:, :, 1 : pad_y + 1].flip(2), wide[:, :, -pad_y - 1 : -1].flip(2)
    return torch.cat([above, wide, below], 2)
