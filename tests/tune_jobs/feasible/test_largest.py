"""The candidate of a space that needs the most memory."""

from __future__ import annotations

import pytest

from eml_models.training.recipe import Recipe
from tune_jobs.feasible.largest import largest_candidate
from tune_jobs.inputs.shipped import SHIPPED

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_largest_candidate_is_within_the_limits_and_has_the_largest_batch() -> None:
    from tune_jobs.feasible.cost import count_cost

    study = SHIPPED["digits-mobilenet"]()
    recipe = largest_candidate(study, drawn=40)
    assert isinstance(recipe, Recipe)
    assert study.limits.max_macs is not None
    assert count_cost(recipe).macs <= study.limits.max_macs
    few = largest_candidate(study, drawn=8)
    assert count_cost(recipe).activations >= count_cost(few).activations
    assert largest_candidate(SHIPPED["digits-recipes"](), drawn=40).batch_size == 128
