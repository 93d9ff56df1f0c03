"""Augmentations: each image its own change, from the generator that is passed, on stored images."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from eml_models.data.augment import AUGMENTATIONS, augment, cutout
from eml_models.errors import UnknownNameError
from eml_models.training.recipe import Augmentation

EVERY = pytest.mark.parametrize("name", AUGMENTATIONS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images_of(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(9))


def test_names_are_those_of_recipes() -> None:
    assert tuple(AUGMENTATIONS) == get_args(Augmentation)


@EVERY
@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (4, 3, 32, 32), (3, 2, 9, 28), (1, 1, 8, 8)])
def test_shape_and_type_stay_and_the_input_is_left_alone(name: str, shape: tuple[int, ...]) -> None:
    for images in (images_of(*shape), images_of(*shape).float()):
        kept = images.clone()
        changed = augment(images, name, generator())
        assert (changed.shape, changed.dtype) == (images.shape, images.dtype)
        assert torch.equal(images, kept)


@EVERY
def test_chance_is_that_of_the_generator_only(name: str) -> None:
    images = images_of(16, 3, 16, 16)
    before = torch.get_rng_state()
    assert torch.equal(augment(images, name, generator(1)), augment(images, name, generator(1)))
    assert torch.equal(torch.get_rng_state(), before)
    if name != "none":
        assert not torch.equal(augment(images, name, generator(1)), augment(images, name, generator(2)))


def test_none_changes_nothing() -> None:
    images = images_of(4, 1, 8, 8)
    assert torch.equal(augment(images, "none", generator()), images)


def test_flip_mirrors_about_half_of_the_images() -> None:
    images = images_of(1000, 1, 4, 4)
    changed = augment(images, "flip", generator())
    mirrored = (changed == images.flip(3)).flatten(1).all(1)
    same = (changed == images).flatten(1).all(1)
    assert (mirrored ^ same).all()
    assert 430 < mirrored.sum() < 570


def test_crop_is_a_window_of_the_image_with_mirrored_borders() -> None:
    images = images_of(2000, 3, 16, 24)
    padded = torch.nn.functional.pad(images.float(), (3, 3, 2, 2), mode="reflect").to(torch.uint8)
    changed = augment(images, "crop", generator())
    hits = torch.zeros(5, 7, dtype=torch.int64)
    for y in range(5):
        for x in range(7):
            window = padded[:, :, y : y + 16, x : x + 24]
            hits[y, x] = (changed == window).flatten(1).all(1).sum()
    assert hits.sum() == 2000
    assert hits.min() > 25, "each of the 35 windows is as likely as any other"


@pytest.mark.parametrize(("size", "pad"), [(8, 1), (28, 3), (32, 4)])
def test_crop_moves_by_an_eighth_of_the_size(size: int, pad: int) -> None:
    images = torch.arange(size).view(1, 1, size, 1).expand(500, 1, size, size).to(torch.uint8)
    middle = augment(images, "crop", generator())[:, 0, size // 2, 0].int() - size // 2
    assert (middle.min().item(), middle.max().item()) == (-pad, pad)


def test_crop_flip_does_both() -> None:
    images = images_of(64, 1, 8, 8)
    chance = generator(3)
    expected = augment(augment(images, "crop", chance), "flip", chance)
    assert torch.equal(augment(images, "crop_flip", generator(3)), expected)


@pytest.mark.parametrize(("share", "sides"), [(0.5, (8, 12)), (0.25, (4, 6)), (0.3, (5, 7)), (0.0, (0, 0))])
def test_cutout_erases_a_square_that_may_hang_over_the_border(share: float, sides: tuple[int, int]) -> None:
    changed = cutout(torch.ones(3000, 3, 16, 24), share, generator())
    assert (changed == changed[:, :1]).all(), "all channels alike"
    erased = changed[:, 0] == 0
    heights, widths = erased.any(2).sum(1), erased.any(1).sum(1)
    assert torch.equal(erased.flatten(1).sum(1), heights * widths), "a rectangle"
    assert (heights.max(), widths.max()) == sides
    if share == 0.5:
        assert (heights.min(), widths.min()) == (4, 6), "the centre is inside"
        assert erased.flatten(1).sum(1).double().mean() == pytest.approx(96 * 0.88**2, rel=0.03)
        assert erased.any(0).all(), "every pixel at some time"


def test_cutout_leaves_its_input_alone_and_draws_from_its_generator_only() -> None:
    images = torch.randn(8, 1, 8, 8, generator=generator())
    kept, before = images.clone(), torch.get_rng_state()
    changed = cutout(images, 0.5, generator(1))
    assert torch.equal(images, kept)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(changed, cutout(images, 0.5, generator(1)))
    assert not torch.equal(changed, cutout(images, 0.5, generator(2)))


def test_unknown_name_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="unknown augmentation 'crop_flop'; known: crop_flip"):
        augment(images_of(1, 1, 8, 8), "crop_flop", generator())
