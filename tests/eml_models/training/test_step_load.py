"""The load of a training step."""

from __future__ import annotations

import pytest

from eml_models.training.recipe import Recipe
from eml_models.training.step_load import measure_step_load

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_load_of_a_step_is_measured() -> None:
    found = measure_step_load(Recipe(learning_rate=0.1, epochs=1), device="cpu")
    assert 50 << 20 < found.peak_bytes < found.total_bytes
    assert (found.beside_bytes, found.busy) == (0, 1.0)
