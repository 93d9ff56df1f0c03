"""The candidate of a study that needs the most memory to train; it is measured before GPUs are shared out.

The candidate is the largest of many drawn points, which is no proof. Most of the memory of training goes to
activations, and these grow with the batch; the share that is measured leaves headroom. Trains nothing itself.
Called by `tune_jobs.on_ray.gpus.measure`.
"""

from __future__ import annotations

from collections.abc import Iterator

from eml_models.training.recipe import Recipe
from tune_jobs.errors import TuneJobsError
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.drawing import iter_drawn
from tune_jobs.feasible.limits import refusal
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.study.definition import Study

NUM_DRAWN = 128


def largest_candidate(study: Study, *, drawn: int = NUM_DRAWN) -> Recipe:
    """The recipe with the most activations, at the largest batch, among those drawn within the limits.

    Raises:
        TuneJobsError: all that were drawn break the limits.
    """
    recipes = list(_iter_admitted(study, drawn))
    if not recipes:
        raise TuneJobsError(
            f"all of {drawn} points drawn from the space break the limits of study {study.name!r}; give"
            " --gpus-per-trial a number"
        )
    batch_size = max(recipe.batch_size for recipe in recipes)
    largest = max(recipes, key=lambda recipe: (count_cost(recipe).activations, count_cost(recipe).parameters))
    return largest.with_changes(batch_size=batch_size)


def _iter_admitted(study: Study, drawn: int) -> Iterator[Recipe]:
    for number, params in enumerate(iter_drawn(study, drawn, role="largest")):
        recipe = resolve_recipe(study, params, number)
        if refusal(study, count_cost(recipe)) is None:
            yield recipe
