"""Batches of an epoch: their bounds, and their images against the normalisation by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from eml_models.data.batches import ImagePreparation, batch_bounds, iter_blocks
from eml_models.data.loading import load_dataset


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(10, 4, [3, 3, 4]), (8, 4, [4, 4]), (3, 128, [3]), (1, 1, [1]), (129, 128, [64, 65])],
)
def test_batches_are_of_equal_size_give_or_take_one(count: int, batch_size: int, sizes: list[int]) -> None:
    bounds = batch_bounds(count, batch_size)
    assert [b - a for a, b in pairwise(bounds)] == sizes


def test_images_are_standardised_in_the_given_order() -> None:
    dataset = load_dataset("digits")
    prepare = ImagePreparation(dataset=dataset, dtype=torch.float32, memory_format=torch.contiguous_format)
    order, bounds = torch.tensor([5, 3, 8, 1, 0]), [0, 2, 5]
    blocks = iter_blocks(
        prepare, order, bounds, augmentation="none", erased_share=0.0, generator=torch.Generator()
    )
    images, labels = zip(*(batch for block in blocks for batch in block), strict=True)
    stored = dataset.train_images_NCHW[order].float()
    torch.testing.assert_close(torch.cat(images), (stored - dataset.mean) / dataset.std)
    assert torch.equal(torch.cat(labels), dataset.train_labels[order])
    assert [len(part) for part in images] == [2, 3]
