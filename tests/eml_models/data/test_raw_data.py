"""Data sets as arrays: their form, their problems in words, and their fingerprint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from eml_models.data.raw_data import RawDataset, as_arrays, find_problems, fingerprint

RAW = as_arrays(
    RawDataset(
        train_images=np.zeros((4, 8, 8), np.uint8),
        train_labels=[0, 1, 0, 1],
        test_images=torch.zeros(2, 1, 8, 8, dtype=torch.float64),
        test_labels=torch.tensor([0, 1]),
    )
)


def test_arrays_have_one_form() -> None:
    assert (RAW.train_images.shape, RAW.train_images.dtype) == ((4, 1, 8, 8), np.uint8)
    assert (RAW.test_images.shape, RAW.test_images.dtype) == ((2, 1, 8, 8), np.float32)
    assert RAW.train_labels.dtype == RAW.test_labels.dtype == np.int64
    assert find_problems(RAW, (1, 8, 8), 2) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"train_images": np.zeros((0, 1, 8, 8), np.uint8)},
            "train_images must have shape (N, 1, 8, 8) with N",
        ),
        ({"test_images": np.full((2, 1, 8, 8), np.nan, np.float32)}, "test_images must be finite"),
        (
            {"test_labels": np.array([0.5, 1.0])},
            "test_labels must be 2 whole numbers, got float64 of shape (2,)",
        ),
        ({"train_labels": np.array([0, 1, 2, 1])}, "train_labels must be in [0, 2), got 0 to 2"),
    ],
)
def test_each_problem_is_named(changes: dict[str, Any], problem: str) -> None:
    assert any(text.startswith(problem) for text in find_problems(replace(RAW, **changes), (1, 8, 8), 2))


def test_every_value_and_type_enters_the_fingerprint() -> None:
    other = RAW.train_labels.copy()
    other[3] = 0
    prints = {
        fingerprint(raw)
        for raw in (
            RAW,
            replace(RAW, train_labels=other),
            replace(RAW, train_images=RAW.train_images.astype(np.float32)),
            replace(RAW, test_images=RAW.test_images.reshape(1, 2, 8, 8)),
        )
    }
    assert len(prints) == 4
    assert fingerprint(RAW) == fingerprint(as_arrays(RAW))
