"""The candidate of a study that takes the most memory to train, to be measured before GPUs are shared out.

Found among many drawn points, not proved: activations times batch size is what most of the memory of training
goes to, and the measured share leaves headroom. Called by the Ray side; trains nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from eml_models.training.recipe import Recipe
from tune_jobs.errors import TuneJobsError
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.limits import refusal
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.search.history import History
from tune_jobs.search.sampler import build_sampler
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName

NUM_DRAWN = 128


def largest_candidate(study: Study, *, drawn: int = NUM_DRAWN) -> Recipe:
    """The recipe with the most activations a batch among those drawn within the study's limits.

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
    at_random = study.with_changes(sampler=SamplerName.RANDOM)
    sampler, nothing = build_sampler(at_random), History(at_random)
    for number in range(drawn):
        params = sampler.propose(nothing, number)
        if params is None:
            return
        recipe = resolve_recipe(study, params, number)
        if refusal(study, count_cost(recipe)) is None:
            yield recipe
