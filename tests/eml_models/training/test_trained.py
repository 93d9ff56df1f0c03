"""A trained network, loaded from its snapshot: what it takes, what it knows, and on what it is tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exporting_testing import FACTS, SMALL, STAMPS, Shifted, Trained

from eml_models.data.datasets import (
    read_dataset,
    register_dataset,
    unregister_dataset,
)
from eml_models.data.facts import NetworkFacts
from eml_models.errors import InvalidValueError
from eml_models.training.final_evaluation import evaluate_test
from eml_models.training.snapshot import load_snapshot, load_trained
from eml_models.training.trained import TrainedNetwork


def test_loaded_network_takes_bytes_and_floats_to_the_same_bits(digits: Trained) -> None:
    network, training = load_trained(digits.path), load_snapshot(digits.path)
    images = torch.from_numpy(digits.images)
    assert images.dtype == torch.uint8
    standardised = (images.float() - torch.tensor(training.data.mean)) / torch.tensor(training.data.std)
    with torch.inference_mode():
        assert torch.equal(network(images), network(images.float()))
        assert torch.equal(network(images), network.module(standardised))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(5, 1, 28, 28), r"got \(5, 1, 28, 28\)"),
        (torch.zeros(5, 3, 8, 8), r"got \(5, 3, 8, 8\)"),
        (torch.zeros(1, 8, 8), r"got \(1, 8, 8\)"),
        (torch.zeros(8, 8), r"got \(8, 8\)"),
        (np.zeros((5, 1, 8, 8)), "got ndarray; torch.as_tensor turns an array"),
    ],
)
def test_images_of_another_shape_are_refused(digits: Trained, images: Any, says: str) -> None:
    with pytest.raises(InvalidValueError, match=rf"images must be a tensor \(N, 1, 8, 8\).*{says}"):
        load_trained(digits.path)(images)


def test_network_of_a_data_set_that_nobody_knows_here_still_runs(trained: Trained) -> None:
    network = load_trained(trained.path)
    if trained.recipe.dataset == "stamps":
        with pytest.raises(InvalidValueError, match="unknown data set 'stamps'"):
            network.recipe  # noqa: B018 - a property that asks for the data set
    else:
        assert network.recipe == trained.recipe


def test_trained_network_is_tested_as_the_one_in_training(digits: Trained) -> None:
    network = load_trained(digits.path)
    raw = read_dataset("digits")
    with torch.inference_mode():
        found = network(torch.from_numpy(raw.test_images)).argmax(1).numpy()
    expected = (found == raw.test_labels).mean()
    for module in (network, network.module):
        assert evaluate_test(module, network.recipe).accuracy == pytest.approx(expected)


def test_trained_network_is_not_tested_on_other_data(digits: Trained) -> None:
    network = load_trained(digits.path)
    register_dataset(STAMPS)
    try:
        with pytest.raises(InvalidValueError, match=r"trained on data c911f9ec.* 'stamps' in this folder is"):
            evaluate_test(network, network.recipe.with_changes(dataset="stamps"))
    finally:
        unregister_dataset("stamps")


def test_weights_of_a_family_that_has_changed_are_refused(digits: Trained, tmp_path: Path) -> None:
    taken = load_snapshot(digits.path)
    weights = {name: value[..., None] for name, value in taken.module.items()}
    state = torch.load(digits.path, weights_only=True)
    torch.save({**state, "module": weights}, tmp_path / "other.pt")
    with pytest.raises(InvalidValueError, match="do not fit the family 'small_cnn' as it is in this process"):
        load_trained(tmp_path / "other.pt")


def test_words_of_a_trained_network_need_no_network() -> None:
    facts = NetworkFacts(data=FACTS, recipe=SMALL.as_dict(), epoch=4)
    network = TrainedNetwork(Shifted(), facts)
    assert network(torch.full((1, 1, 2, 2), 1.0)).tolist() == [[8, -8]]  # four times (1 - 0.5) / 0.25
    with pytest.raises(InvalidValueError, match="must name its model"):
        NetworkFacts(data=FACTS, recipe={}, epoch=4)
