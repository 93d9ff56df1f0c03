"""Reach of a space: limits that none of its networks can meet are refused before anything is started.

Compares the limits with the smallest and the largest network of a study, from their plans. For ``--dry-run``
it also lists the changes that small images make to networks. Called by the command line and by `run_study`.
`tune_jobs.feasible.limits` judges each proposal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from eml_models.data.datasets import get_dataset_spec
from eml_models.errors import InvalidValueError, raise_if_any
from eml_models.networks.registry import build_plan
from eml_models.training.recipe import Recipe
from tune_jobs.feasible.cost import NetworkCost, count_cost
from tune_jobs.feasible.macs_share import NEEDS_LIMIT, resolve_recipe, width_bounds, with_width
from tune_jobs.feasible.own_cost import OwnCost, cost_of_trial
from tune_jobs.feasible.together import check_together
from tune_jobs.study.bindings import MACS_SHARE, RECIPE_FIELDS
from tune_jobs.study.candidate import CANDIDATE
from tune_jobs.study.definition import Study
from tune_jobs.study.guidance import rung_problems
from tune_jobs.study.method import Limits
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, Params, Value
from tune_jobs.study.space import Space

MAX_CORNERS = 64
"""Combinations of choices to look at. In a space with more, limits are checked at each proposal alone."""

MODEL = "model"

RAISE = "raise --max-{}, or widen the space"
LOWER = "lower --min-macs, or widen the space"

Measure = Callable[[NetworkCost], int]


def check_reachable(study: Study) -> list[str]:
    """Notes on limits that exclude no network, or that together leave hardly any.

    Also makes a recipe with each value of each choice.

    The check of limits is exact where MACs and parameters rise, or fall, with each number of the space on its
    own, as they do with widths, expansions and depths.

    Raises:
        InvalidValueError: no network of the space is within the limits (the message gives the costs that the
            space can reach), a choice has a value that no recipe or network takes, the recipe asks for more
            training images than there are, or of own training the cost function fails, or computes all
            objectives and leaves none for ASHA.
    """
    limits = study.limits
    if study.recipe is None:
        return _check_own(study)
    _check_train_samples(study.recipe)
    if MACS_SHARE in study.space.names and limits.max_macs is None:
        raise InvalidValueError(NEEDS_LIMIT)
    _check_choices(study)
    if limits == Limits():
        return []
    return [*_check_each(study, limits), *check_together(study)]


def _check_own(study: Study) -> list[str]:
    """Try the cost function of own training on one point of the space, so that its errors come early.

    The costs of that point also show whether any objective is left for the rungs to compare.
    """
    corner = next(_iter_corners(study.space.parameters, {}))
    cost = cost_of_trial(study, study.own_recipe_for(corner, 0))
    assert isinstance(cost, OwnCost)
    raise_if_any(f"study {study.name!r}", rung_problems(study.objectives, study.rungs, cost.values))
    return []


def _check_train_samples(recipe: Recipe) -> None:
    """Refuse more training images than a data set of known size has beside its validation images."""
    count, asked = get_dataset_spec(recipe.dataset).num_train, recipe.max_train_samples
    if count is None or asked is None:
        return
    held_out = (
        0 if recipe.train_on == "train_and_validation" else math.floor(count * recipe.validation_fraction)
    )
    if asked > count - held_out:
        raise InvalidValueError(
            f"max_train_samples must be at most {count - held_out:,}, got {asked:,}: {recipe.dataset!r} has"
            f" {count:,} training images, and {held_out:,} of them are for validation; leave --train-samples"
            " out to train on all the others"
        )


def _check_each(study: Study, limits: Limits) -> list[str]:
    """Check each limit on its own; see `check_reachable`."""
    corners = list(islice(_iter_corners(study.space.parameters, {}), MAX_CORNERS + 1))
    if len(corners) > MAX_CORNERS:
        return []
    least = min(_extreme(study, corner, _macs, sign=1) for corner in corners)
    most = max(_extreme(study, corner, _macs, sign=-1) for corner in corners)
    fewest = min(_extreme(study, corner, _parameters, sign=1) for corner in corners)
    problems, notes = [], []
    if limits.max_macs is not None and least > limits.max_macs:
        problems.append(
            f"max_macs is {limits.max_macs:,}, but its smallest network has {least:,} MACs;"
            f" {RAISE.format('macs')}"
        )
    if limits.min_macs is not None and most < limits.min_macs:
        problems.append(
            f"min_macs is {limits.min_macs:,}, but its largest network has {most:,} MACs; {LOWER}"
        )
    elif limits.min_macs is not None and (shared := _most_of_shares(study, corners)) < limits.min_macs:
        problems.append(
            f"min_macs is {limits.min_macs:,}, but no {MACS_SHARE} lets a network have more than"
            f" {shared:,} MACs; {LOWER}"
        )
    if limits.max_parameters is not None and fewest > limits.max_parameters:
        problems.append(
            f"max_parameters is {limits.max_parameters:,}, but its smallest network has {fewest:,}"
            f" parameters; {RAISE.format('parameters')}"
        )
    raise_if_any(f"no network of study {study.name!r} is within its limits", problems)
    if limits.max_macs is not None and most <= limits.max_macs:
        notes.append(
            f"max_macs {limits.max_macs:,} excludes no network: the largest network has {most:,} MACs"
        )
    return notes


def _most_of_shares(study: Study, corners: Sequence[Params]) -> float:
    """The most MACs of networks whose widths follow from shares of the limit; infinite without shares.

    It is the highest share of the limit, or the MACs of the costliest shape at its narrowest width, because
    no share narrows a network further.
    """
    limit = study.limits.max_macs
    if limit is None or not all(MACS_SHARE in corner for corner in corners):
        return math.inf
    share = study.space[MACS_SHARE]
    shares = (share.low, share.high) if isinstance(share, Float | Integer) else share.grid()
    highest = max((value for value in shares if isinstance(value, int | float)), default=1.0)
    costliest = (_outermost(study, corner, _macs, sign=-1) for corner in corners)
    narrowest = (_macs(_cost(study, params, widest=False)) for params in costliest)
    return max(math.floor(limit * highest), *narrowest)


def list_adapted(study: Study) -> dict[str, list[str]]:
    """The changes that plans make because images are small, by family, or by candidate if a study has these.

    Strides and poolings are adapted to the size of the maps. No width or depth changes that size, so one
    network of each family is enough. Families without a change are left out. Own training has no plans.
    """
    if study.recipe is None:
        return {}
    name = CANDIDATE if study.candidates else MODEL
    values = study.space[name].grid() if name in study.space.names else None
    adapted = {}
    for value in values or (None,):
        space = study.space if value is None else study.space.fixed({name: value})
        recipe = resolve_recipe(study, next(_iter_corners(space.parameters, {})), 0)
        data = get_dataset_spec(recipe.dataset)
        plan = build_plan(
            recipe.model, input_shape=data.input_shape, num_classes=data.num_classes, **recipe.model_options
        )
        if plan.adapted:
            adapted[recipe.model if value is None else str(value)] = list(plan.adapted)
    return adapted


def _check_choices(study: Study) -> None:
    """Try each value of each choice once, so that a wrong value is an error now and not at its proposal."""
    choices = [parameter for parameter in study.space.parameters if isinstance(parameter, Choice)]
    tried = [{choice.name: value} for choice in choices for value in choice.values]
    for values in tried or [{}]:
        corner = next(_iter_corners(study.space.fixed(values).parameters, {}))
        count_cost(study.recipe_for(corner, 0))


def _extreme(study: Study, corner: Params, measure: Measure, *, sign: int) -> int:
    """The least (with sign -1, the most) of a measure over the numbers of a corner."""
    return measure(_cost(study, _outermost(study, corner, measure, sign=sign), widest=sign < 0))


def _outermost(study: Study, corner: Params, measure: Measure, *, sign: int) -> Params:
    """The params with the least (with sign -1, the most), found by moving numbers until no move helps.

    One round is not enough: channels are whole, so at a small width the width of a stage changes nothing.
    """

    def cost(params: Params) -> int:
        return sign * measure(_cost(study, params, widest=sign < 0))

    params, best, before = corner, cost(corner), math.inf
    while best < before:
        before = best
        for parameter in study.space.parameters:
            if parameter.name not in params or parameter.name == MACS_SHARE:
                continue
            for end in _ends(study.space, parameter):
                moved = {**params, parameter.name: end}
                if (found := cost(moved)) < best:
                    params, best = moved, found
    return params


def _cost(study: Study, params: Params, *, widest: bool) -> NetworkCost:
    recipe = study.recipe_for(params, 0)
    if MACS_SHARE in params:
        recipe = with_width(recipe, width_bounds(recipe.model)[widest])
    return count_cost(recipe)


def _iter_corners(parameters: Sequence[Parameter], chosen: Params) -> Iterator[Params]:
    """Params with each number at one end, one for each combination of the choices that shape a network.

    A number that others depend on is treated as a choice between the values that `_turns` gives.
    """
    if not parameters:
        yield dict(chosen)
        return
    head, rest = parameters[0], parameters[1:]
    if head.when is not None and not head.when.holds(chosen):
        yield from _iter_corners(rest, chosen)
        return
    values: tuple[Value, ...]
    if isinstance(head, Constant):
        values = (head.value,)
    elif isinstance(head, Choice):
        shapes = head.name == MODEL or head.name not in RECIPE_FIELDS or _depends(rest, head.name)
        alone = _is_numeric(head) and not _depends(rest, head.name)
        values = head.values if shapes and not alone else head.values[:1]
    else:
        values = _turns(head, rest) or ((head.grid() or (head.low,))[0],)
    for value in values:
        yield from _iter_corners(rest, {**chosen, head.name: value})


def _turns(number: Float | Integer, rest: Sequence[Parameter]) -> tuple[Value, ...]:
    """The values of a number that decide which others apply: those of conditions, and the ends of the rest.

    Ascending; empty if no parameter depends on the number.
    """
    conditions = [p.when for p in rest if p.when is not None and p.when.parameter == number.name]
    if not conditions:
        return ()
    named = {number.canonical(value) for when in conditions for value in when.values}
    grid = number.grid() or (number.low, number.high)
    ends = [next((value for value in way if value not in named), None) for way in (grid, reversed(grid))]
    return tuple(sorted({*named, *(end for end in ends if end is not None)}))


def _ends(space: Space, parameter: Parameter) -> tuple[Value, ...]:
    """The least and the largest value of a number of the network; empty for every other parameter."""
    if isinstance(parameter, Constant) or parameter.name in RECIPE_FIELDS:
        return ()
    if _depends(space.parameters, parameter.name):
        return ()
    if isinstance(parameter, Choice):
        return (min(parameter.values), max(parameter.values)) if _is_numeric(parameter) else ()
    grid = parameter.grid() or (parameter.low, parameter.high)
    return (grid[0], grid[-1])


def _is_numeric(choice: Choice) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in choice.values)


def _depends(parameters: Sequence[Parameter], name: str) -> bool:
    """Whether a parameter applies only under some values of another."""
    return any(parameter.when is not None and parameter.when.parameter == name for parameter in parameters)


def _macs(cost: NetworkCost) -> int:
    return cost.macs


def _parameters(cost: NetworkCost) -> int:
    return cost.parameters
