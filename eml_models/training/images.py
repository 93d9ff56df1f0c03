"""Images of a training: which train, which are held out, and the batches in which an epoch takes them.

A function of the recipe, the data set and the number of the epoch alone: no order depends on what ran before.
`eml_models.training.loop.Fit` iterates over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch

from eml_models import seeds
from eml_models.data.batches import Batch, ImagePreparation, batch_bounds, iter_blocks
from eml_models.data.loading import Dataset, split, take_part
from eml_models.training.evaluation import compute_dtype
from eml_models.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingImages:
    """The images of one training.

    Attributes:
        train: positions of the training images in the data set.
        validation: the images that are held out, as stored, and their labels; None if all train.
        bounds: start of each batch, then the end of the last; see `eml_models.data.batches.batch_bounds`.
        prepare: turns images as stored into the input of the network.
    """

    recipe: Recipe
    train: torch.Tensor
    validation: Batch | None
    bounds: list[int]
    prepare: ImagePreparation

    @property
    def num_steps(self) -> int:
        """Number of training steps in an epoch."""
        return len(self.bounds) - 1

    @property
    def sizes(self) -> list[int]:
        """The number of images of each batch; they differ by one image at most."""
        return [stop - start for start, stop in pairwise(self.bounds)]

    @property
    def num_validation(self) -> int:
        """Number of validation images."""
        return len(self.validation[1]) if self.validation else 0

    def iter_blocks(self, epoch: int) -> Iterator[list[Batch]]:
        """Lists of prepared batches, in the order and with the random changes of an epoch, from 0 on."""
        device = self.train.device
        shuffle, chance = (
            torch.Generator(device).manual_seed(seeds.derive(self.recipe.seed, 0, f"{role}/{epoch}"))
            for role in ("order", "augmentation")
        )
        order = torch.randperm(len(self.train), generator=shuffle, device=device)
        return iter_blocks(
            self.prepare,
            self.train[order],
            self.bounds,
            augmentation=self.recipe.augmentation,
            erased_share=self.recipe.cutout,
            generator=chance,
        )


def choose_images(recipe: Recipe, dataset: Dataset) -> TrainingImages:
    """The images of a data set with which a recipe trains and validates."""
    parts = split(dataset, recipe.validation_fraction)
    train, held_out = take_part(dataset, parts.train, recipe.max_train_samples), None
    if recipe.train_on == "train_and_validation":
        train = torch.cat([train, parts.validation])[: recipe.max_train_samples]
    else:
        held_out = dataset.train_images_NCHW[parts.validation], dataset.train_labels[parts.validation]
    return TrainingImages(
        recipe=recipe,
        train=train,
        validation=held_out,
        bounds=batch_bounds(len(train), recipe.batch_size),
        prepare=build_preparation(recipe, dataset),
    )


def build_preparation(recipe: Recipe, dataset: Dataset) -> ImagePreparation:
    """The preparation that turns images of the data set into the input of the recipe's network."""
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    return ImagePreparation(
        dataset=dataset, dtype=compute_dtype(recipe.precision), memory_format=memory_format
    )
