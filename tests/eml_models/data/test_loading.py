"""Loaded data sets: the fixed split, the part to train on, and devices that are not here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny_data import TINY

from eml_models.data.datasets import (
    register_dataset,
)
from eml_models.data.loading import Dataset, load_dataset, split
from eml_models.errors import InvalidValueError
from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe

Bytes = npt.NDArray[np.uint8]


VALIDATION_START = [3, 12, 23, 27, 29, 31]


TRAIN_START = [411, 998, 1313, 887, 1216, 548]


class TestSplit:
    @pytest.fixture
    def digits(self) -> Dataset:
        return load_dataset("digits")

    @pytest.mark.parametrize("fraction", [0.001, 0.1, 0.2, 0.5, 0.99])
    def test_parts_are_disjoint_complete_and_stratified(self, digits: Dataset, fraction: float) -> None:
        parts = split(digits, fraction)
        both = torch.cat([parts.train, parts.validation])
        assert sorted(both.tolist()) == list(range(1438))
        assert len(parts.validation) == int(1438 * fraction)
        held_out = torch.bincount(digits.train_labels[parts.validation], minlength=10)
        assert (held_out - fraction * torch.bincount(digits.train_labels)).abs().max() < 1.01

    def test_is_the_same_each_time_and_another_for_another_seed(self, digits: Dataset) -> None:
        assert torch.equal(split(digits, 0.2).validation, split(digits, 0.2).validation)
        assert not torch.equal(split(digits, 0.2).validation, split(digits, 0.2, seed=1).validation)

    def test_is_the_same_on_every_machine(self, digits: Dataset) -> None:
        parts = split(digits, 0.2)
        assert parts.validation[:6].tolist() == VALIDATION_START
        assert parts.train[:6].tolist() == TRAIN_START

    def test_that_leaves_nothing_is_an_error(self) -> None:
        register_dataset(TINY)
        with pytest.raises(InvalidValueError, match="each part needs at least one"):
            split(load_dataset("tiny"), 0.0001)


def test_part_to_train_on_is_random_the_same_for_every_seed_and_holds_a_smaller_one() -> None:
    recipe = Recipe(learning_rate=0.1, epochs=1, max_train_samples=300)
    labels, parts = load_dataset("digits").train_labels, []
    for changes in ({}, {"seed": 7}, {"max_train_samples": 100}):
        parts.append(set(fit(recipe.with_changes(**changes))._images.train.tolist()))
    assert parts[0] == parts[1]
    assert parts[2] < parts[0]
    assert (len(parts[0]), len(parts[2])) == (300, 100)
    assert torch.bincount(labels[sorted(parts[0])], minlength=10).min() >= 28  # 30 each, by their sizes
    assert parts[0].isdisjoint(split(load_dataset("digits"), 0.2).validation.tolist())


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99"])
def test_device_that_is_not_here_is_an_error(device: str) -> None:
    with pytest.raises(InvalidValueError, match=device):
        load_dataset("digits", device=device)
