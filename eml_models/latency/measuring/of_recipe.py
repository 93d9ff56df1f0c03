"""The latency of a recipe's network: one number for a trial's row, an objective or a limit."""

from __future__ import annotations

import torch

from eml_models.data.datasets import get_dataset_spec
from eml_models.errors import BatchTooLargeError
from eml_models.latency.measuring.modes import PLAIN, Mode
from eml_models.latency.measuring.timing import Measurement, measure_latency
from eml_models.networks.registry import build_model
from eml_models.training.recipe import Recipe

SECONDS = 0.5


def measure_recipe_latency(
    recipe: Recipe, *, mode: Mode = PLAIN, batch_size: int = 1, device: str = "cpu", seconds: float = SECONDS
) -> float:
    """Milliseconds (median) of one forward pass of a recipe's network over a batch, in a declared mode.

    The network is built untrained: time does not depend on its weights. It is run with torch's current
    threads; torch's generators are left as found.

    Raises:
        UnsupportedModeError: the device does not have the mode.
        BatchTooLargeError: the batch does not fit into the device's memory: the time of a smaller one would
            be compared with others' of the whole.
        InvalidValueError: there is no such device.
    """
    return measure_recipe(recipe, mode=mode, batch_size=batch_size, device=device, seconds=seconds).median_ms


def measure_recipe(
    recipe: Recipe, *, mode: Mode = PLAIN, batch_size: int = 1, device: str = "cpu", seconds: float = SECONDS
) -> Measurement:
    """The same with n, quartiles and conditions."""
    data = get_dataset_spec(recipe.dataset)
    with torch.random.fork_rng(devices=[]):
        model = build_model(
            recipe.model, input_shape=data.input_shape, num_classes=data.num_classes, **recipe.model_options
        )
    images = torch.zeros(batch_size, *data.input_shape)
    measured = measure_latency(model, images, mode, device=device, seconds=seconds)
    if measured.batch_size != batch_size:
        raise BatchTooLargeError(
            f"a batch of {batch_size} of {recipe.model} does not fit into the memory of {device}, one of"
            f" {measured.batch_size} does; declare that"
        )
    return measured
