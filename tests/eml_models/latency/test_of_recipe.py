"""The latency of a recipe's network, as a trial, an objective or a limit needs it."""

from __future__ import annotations

import pytest
import torch

from eml_models.errors import BatchTooLargeError, UnsupportedModeError
from eml_models.latency.measuring.modes import parse_mode
from eml_models.latency.measuring.of_recipe import measure_recipe_latency
from eml_models.latency.measuring.preparing import Prepared
from eml_models.training.recipe import Recipe

RECIPE = Recipe(model="small_cnn", dataset="digits", learning_rate=0.01, epochs=1)


def test_a_recipes_network_is_measured_in_the_declared_mode() -> None:
    generator = torch.get_rng_state()
    small = measure_recipe_latency(RECIPE, seconds=0.05)
    wide = RECIPE.with_changes(model_options={"width": 128})
    large = measure_recipe_latency(wide, mode=parse_mode("fp32/channels_last"), batch_size=8, seconds=0.05)
    assert 0 < small < large
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.parametrize("largest", [0, 2])
def test_a_batch_that_does_not_fit_is_distinguished_from_other_failures(
    monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    run = Prepared.run

    def full(prepared: Prepared, images: torch.Tensor) -> torch.Tensor:
        if images.shape[0] > largest:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(prepared, images)

    monkeypatch.setattr(Prepared, "run", full)
    with pytest.raises(BatchTooLargeError, match=r"does not fit|not even"):
        measure_recipe_latency(RECIPE, batch_size=4, seconds=0.01)


def test_a_mode_that_the_device_lacks_is_refused() -> None:
    with pytest.raises(UnsupportedModeError):
        measure_recipe_latency(RECIPE, mode=parse_mode("tf32"))
