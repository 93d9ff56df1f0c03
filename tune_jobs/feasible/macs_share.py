"""The parameter `macs_share`: the width of a network follows from the share of the MAC limit that it may use.

`resolve_recipe` makes the recipe of a trial, with that width where the space has this parameter. Called by
the session, by `reach`, and where a trial's cost is computed again.
"""

from __future__ import annotations

from eml_models.errors import InvalidValueError
from eml_models.networks.family import Option, OptionKind
from eml_models.networks.registry import get_model
from eml_models.training.recipe import Recipe
from tune_jobs.feasible.cost import count_cost
from tune_jobs.study.bindings import MACS_SHARE
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Params

NEEDS_LIMIT = (
    f"parameter {MACS_SHARE!r} is a share of the limit on MACs, and this study has none; give --max-macs"
)

WIDTH_HALVINGS = 12
"""Halvings of the range of widths: a result to a thousandth, finer than channels are."""


def resolve_recipe(study: Study, params: Params, number: int) -> Recipe:
    """The recipe of one trial; where `macs_share` is among its params, with the width that uses that share.

    The network is then the widest of its family (by the option that `ModelFamily.width` names) whose MACs are
    within that share of the study's limit. MACs rise with the width, so halving finds it. They rise in steps,
    because channels are whole multiples of the family's divisor, so the MACs are below the share by up to a
    step. At a share of 1 (60 shapes of the sampler `random`, seed 0) networks of `mobilenet` (divisor
    8) have 0.94 of the limit in the mean and 0.67 at least, those of `digits-mobilenet` (divisor 4) 0.95 and
    0.59, those of `digits-front` (divisor 1) 0.99 and 0.90.

    A shape whose narrowest network is beyond its share keeps that width. The limit refuses it if it is beyond
    the whole limit too; otherwise it is trained, above its share.

    Raises:
        InvalidValueError: the study has no limit on MACs.
    """
    recipe = study.recipe_for(params, number)
    if MACS_SHARE not in params:
        return recipe
    limit = study.limits.max_macs
    if limit is None:
        raise InvalidValueError(NEEDS_LIMIT)
    share = params[MACS_SHARE]
    assert isinstance(share, int | float)
    return with_width(recipe, _widest(recipe, limit * share))


def _widest(recipe: Recipe, macs: float) -> float:
    low, high = width_bounds(recipe.model)
    if count_cost(with_width(recipe, high)).macs <= macs:
        return high
    if count_cost(with_width(recipe, low)).macs > macs:
        return low
    for _ in range(WIDTH_HALVINGS):
        middle = (low + high) // 2 if isinstance(low, int) else round((low + high) / 2, 6)
        if count_cost(with_width(recipe, middle)).macs <= macs:
            low = middle
        else:
            high = middle
    return low


def with_width(recipe: Recipe, width: float) -> Recipe:
    """The recipe with another width, set through the option that its family names."""
    return recipe.with_changes(
        model_options={**recipe.model_options, _width_option(recipe.model).name: width}
    )


def width_bounds(model: str) -> tuple[float, float]:
    """The least and the largest width of a family; whole numbers if its widths are whole numbers.

    Raises:
        InvalidValueError: the family names no option for the width.
    """
    option = _width_option(model)
    if option.kind is OptionKind.INTEGER:
        return int(option.low), int(option.high)
    return option.low, option.high


def _width_option(model: str) -> Option:
    option = get_model(model).width_option
    if option is None:
        raise InvalidValueError(
            f"parameter {MACS_SHARE!r} sets the width of a network, and model {model!r} names no option for"
            " the width (ModelFamily.width); leave the parameter out, or choose another model"
        )
    return option
