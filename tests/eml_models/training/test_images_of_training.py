"""The images of a training: which train, in which batches, order and form; a function of recipe and epoch."""

from __future__ import annotations

import pytest
import torch

from eml_models import Recipe, load_dataset
from eml_models.training.images import TrainingImages, choose_images

SMALL = Recipe(learning_rate=0.1, epochs=2, max_train_samples=150)


def images_of(**changes: object) -> TrainingImages:
    return choose_images(SMALL.with_changes(**changes), load_dataset("digits"))


def shown(images: TrainingImages, epoch: int = 0) -> torch.Tensor:
    """The prepared images of an epoch, in its order."""
    return torch.cat([batch for block in images.iter_blocks(epoch) for batch, _ in block])


def test_an_epoch_shows_every_image_once() -> None:
    images = images_of(batch_size=32)
    batches = [labels for block in images.iter_blocks(0) for _, labels in block]
    expected = load_dataset("digits").train_labels[images.train]
    assert torch.equal(torch.cat(batches).sort().values, expected.sort().values)
    assert [len(labels) for labels in batches] == images.sizes
    assert (images.num_steps, sum(images.sizes)) == (5, 150)


def test_epochs_differ_in_order_and_augmentation_and_each_is_the_same_again() -> None:
    images = images_of(augmentation="crop")
    assert not torch.equal(shown(images, 0), shown(images, 1))
    assert torch.equal(shown(images, 1), shown(images_of(augmentation="crop"), 1))


def test_images_are_normalised_and_channels_last() -> None:
    found = shown(images_of(max_train_samples=None))
    assert found.mean().item() == pytest.approx(0, abs=0.02)
    assert found.std().item() == pytest.approx(1, abs=0.02)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_squares_are_erased_to_the_mean_colour() -> None:
    plain, erased = shown(images_of()), shown(images_of(cutout=0.5))
    changed = plain != erased
    assert 0.1 < changed.double().mean() < 0.3  # a quarter, less what lies beyond the border
    assert not erased[changed].any()


def test_a_subset_is_part_of_every_larger_one() -> None:
    assert torch.equal(images_of().train, images_of(max_train_samples=300).train[:150])


def test_no_image_is_held_out_where_all_train() -> None:
    images = images_of(train_on="train_and_validation", max_train_samples=None)
    assert images.train.sort().values.tolist() == list(range(1438))
    assert (images.validation, images.num_validation) == (None, 0)
    assert images_of().num_validation > 0
