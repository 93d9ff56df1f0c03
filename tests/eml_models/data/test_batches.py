"""Batches of an epoch: their bounds, and their images against the normalisation by hand."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from eml_models.data.batches import (
    BLOCK_BYTES,
    CUDA_BLOCK_BYTES,
    ImagePreparation,
    batch_bounds,
    block_bytes,
    iter_blocks,
)
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


@pytest.mark.parametrize(
    ("gigabytes", "expected"),
    [(80, CUDA_BLOCK_BYTES), (8, 128 << 20), (0.5, 8 << 20)],
    ids=["80", "8", "0.5"],
)
def test_blocks_on_cuda_are_larger_but_fit_the_card(
    gigabytes: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = SimpleNamespace(total_memory=int(gigabytes * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    assert block_bytes(torch.device("cuda")) == expected
    assert block_bytes(torch.device("cpu")) == BLOCK_BYTES


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_batches_have_the_type_and_layout_of_the_network(
    dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    dataset = load_dataset("digits")
    prepare = ImagePreparation(dataset=dataset, dtype=dtype, memory_format=memory_format)
    blocks = iter_blocks(
        prepare,
        torch.arange(9),
        [0, 4, 9],
        augmentation="crop_flip",
        erased_share=0.5,
        generator=torch.Generator(),
    )
    for block in blocks:
        for images, _ in block:
            assert images.dtype is dtype
            assert images.is_contiguous(memory_format=memory_format)
