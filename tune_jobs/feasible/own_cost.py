"""The recipe and the cost of a trial, whether its training is shipped or the user's own.

A shipped network is counted from its plan (`cost`); own training computes its costs by the study's function.
Called by the session for each proposal, and when a run continues a trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from eml_models.wording import cut
from tune_jobs.errors import CostFunctionError
from tune_jobs.feasible.cost import NetworkCost, count_cost
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.study.definition import Study
from tune_jobs.study.field_kinds import plain_number
from tune_jobs.study.fits import name_of_fit
from tune_jobs.study.objective import COSTS, OWN_METRIC
from tune_jobs.study.own_training import OwnRecipe, StoredTrain
from tune_jobs.study.parameters import Params
from tune_jobs.study.written_numbers import MAX_WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCost:
    """The costs that a study's function computes from a trial's params, by name; empty without a function."""

    values: Mapping[str, float]

    def value(self, name: str) -> float | None:
        """A cost; None if the function did not compute it."""
        return self.values.get(name)

    def columns(self) -> dict[str, int | None]:
        """The columns of a trial's row that hold these costs; a column without a cost is None."""
        return {name: None if (got := self.values.get(name)) is None else round(got) for name in COSTS}


TrialCost = NetworkCost | OwnCost


def recipe_of_trial(study: Study, params: Params, number: int) -> Recipe | OwnRecipe:
    """The recipe of one trial; of own training, its params with their epochs and seed.

    Raises:
        InvalidValueError: params are outside the space, or the recipe breaks a rule.
    """
    if study.recipe is None:
        return study.own_recipe_for(params, number)
    return resolve_recipe(study, params, number)


def costed(
    study: Study, recipe: Recipe | OwnRecipe, *, stored: Mapping[str, float] | None = None
) -> tuple[Recipe | OwnRecipe, TrialCost]:
    """The recipe of a trial with its cost, which the recipe of own training holds too.

    Args:
        stored: the costs of own training that the store holds; None to compute them.

    Raises:
        InvalidValueError: as of `cost_of_trial`.
    """
    if not isinstance(recipe, OwnRecipe):
        return recipe, count_cost(recipe)
    cost = cost_of_trial(study, recipe) if stored is None else OwnCost(values=stored)
    assert isinstance(cost, OwnCost)
    return replace(recipe, costs=cost.values), cost


def cost_of_trial(study: Study, recipe: Recipe | OwnRecipe) -> TrialCost:
    """The cost of a trial before its training.

    Raises:
        CostFunctionError: the study's function of costs raises, returns anything but numbers by name, or
            lacks a cost that a limit names.
        InvalidValueError: the store has the study without its code.
    """
    if not isinstance(recipe, OwnRecipe):
        return count_cost(recipe)
    if study.cost is None:
        return OwnCost(values={})
    if isinstance(study.cost, StoredTrain):
        study.cost()  # raises: the store has no code
    subject = f"cost function {name_of_fit(study.cost)} of study {study.name!r}"
    try:
        found = study.cost(dict(recipe.params))
    except (Exception, SystemExit) as error:  # the user's function may raise anything, errors of ours too
        raise CostFunctionError(
            f"{subject} raised {type(error).__name__}: {error} for the params {dict(recipe.params)}; mend it,"
            " or narrow the space"
        ) from error
    return OwnCost(values=_checked(found, subject, study))


def _checked(found: object, subject: str, study: Study) -> dict[str, float]:
    if not isinstance(found, Mapping):
        raise InvalidValueError(
            f'{subject} must return numbers by name, such as {{"macs": 3e7}}, got {cut(found)}'
        )
    values = {name: plain_number(value) for name, value in found.items()}
    for name, value in values.items():
        if value is None or not _is_name(name):
            raise CostFunctionError(
                f"{subject} must return finite numbers by name, got {cut(name)}: {cut(found[name])}; return"
                ' such as {"macs": 3e7}, and leave out what is unknown'
            )
        if name in COSTS and not 0 <= value <= MAX_WHOLE:
            raise CostFunctionError(
                f"{subject} must return a count from 0 to {MAX_WHOLE:,} as {name}, got {value:,}; return a"
                " quantity of another kind under another name"
            )
    if missing := sorted(study.limits.costs - values.keys()):
        raise CostFunctionError(
            f"{subject} must return {missing[0]!r}, which a limit names, got {sorted(values)}"
        )
    return {name: value for name, value in values.items() if value is not None}


def _is_name(name: object) -> bool:
    return isinstance(name, str) and OWN_METRIC.fullmatch(name) is not None
