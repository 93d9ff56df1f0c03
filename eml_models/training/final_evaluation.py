"""The test of a network that was chosen without the test set: the only code that uses the test images.

Called by `eml_models.training.final_fit`, and by people after a search.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from eml_models.data.loading import Dataset, load_dataset
from eml_models.errors import InvalidValueError
from eml_models.training.divergence import check_finite
from eml_models.training.evaluation import Evaluation, Preparation, evaluate
from eml_models.training.images import build_preparation
from eml_models.training.recipe import Recipe
from eml_models.training.trained import TrainedNetwork


def evaluate_test(module: nn.Module, recipe: Recipe, *, data_dir: str | Path | None = None) -> Evaluation:
    """The loss and accuracy on the test set of a network that was chosen without the test set.

    Args:
        module: trained by `recipe`. Either a result of `load_trained`, which standardises images itself, or a
            network that takes standardised images, such as ``fit(recipe).module`` after the last epoch. Left
            in eval mode.

    Raises:
        DivergedError: the loss is not finite.
        InvalidValueError: a `TrainedNetwork` was trained on other data than the data set in the folder.
    """
    device = next(module.parameters()).device
    dataset = load_dataset(recipe.dataset, data_dir=data_dir, device=device)
    prepare: Preparation = build_preparation(recipe, dataset)
    if isinstance(module, TrainedNetwork):
        _check_same_data(module, dataset)
        prepare = torch.nn.Identity()
    tested = evaluate(
        module,
        prepare,
        dataset.test_images_NCHW,
        dataset.test_labels,
        precision=recipe.precision,
    )
    check_finite("test_loss", tested.loss, recipe, recipe.epochs)
    return tested


def _check_same_data(network: TrainedNetwork, dataset: Dataset) -> None:
    """Refuse other data: its test images may be among the training images of the network."""
    trained_on = network.facts.data.fingerprint
    if trained_on != dataset.fingerprint:
        raise InvalidValueError(
            f"the network was trained on data {trained_on}, but data set {dataset.spec.name!r} in this folder"
            f" is {dataset.fingerprint}; test it on the data of its training (--data-dir, data_dir=...)"
        )
