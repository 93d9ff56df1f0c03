"""Evaluation: the sizes of its batches on CUDA."""

from __future__ import annotations

import pytest
import torch

from eml_models.training.evaluation import CUDA_BATCH, even_batch_size


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (10_000, {1_000}),
        (5_000, {1_000}),
        (12_000, {1_000}),
        (1_024, {1_024}),
        (1_025, {513, 512}),  # 5 batches of 205 would leave a large card half empty
        (359, {359}),
        (7_919, {990, 989}),  # a prime
    ],
)
def test_evaluation_on_cuda_has_one_shape_where_the_sizes_allow(count: int, sizes: set[int]) -> None:
    size = even_batch_size(count, CUDA_BATCH)
    got = {len(part) for part in torch.split(torch.empty(count), size)}
    assert got == sizes


@pytest.mark.parametrize("count", range(1, 9_000, 37))
def test_batches_of_an_evaluation_are_few_and_even(count: int) -> None:
    parts = [len(part) for part in torch.split(torch.empty(count), even_batch_size(count, CUDA_BATCH))]
    assert max(parts) <= CUDA_BATCH
    assert len(parts) <= 2 * -(-count // CUDA_BATCH)
    assert len(set(parts)) <= 2
