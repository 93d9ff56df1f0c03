"""Whether a network may be trained at all, decided from its plan before any worker is asked for.

Pure functions of a study and a recipe. The session refuses what breaks a limit and writes the refusal down;
nothing here samples, records or builds a module.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from eml_models.data.datasets import get_dataset_spec
from eml_models.errors import InvalidValueError
from eml_models.networks.family import Option, OptionKind
from eml_models.networks.registry import build_plan, get_model
from eml_models.training.recipe import Recipe
from eml_models.wording import cut
from tune_jobs.study.definition import MACS_SHARE, Limits, Study
from tune_jobs.study.rows import as_json_text
from tune_jobs.study.space import Float, Params, Space
from tune_jobs.study.written_numbers import MAX_WHOLE, read_decimal, way_out

NEEDS_LIMIT = f"parameter {MACS_SHARE!r} needs a limit to take a share of; give --max-macs"
WIDTH_HALVINGS = 12
"""Of the range of widths: to a thousandth, finer than channels are."""
SPREAD_SHARE = 0.05
"""The least share of a limit that is searched where the cost itself is an objective."""

SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9}
SHARE_PATTERN = re.compile(r"\s+x\s+")
COUNT_PATTERN = re.compile(r"(.*?[0-9.])\s*([kmg]?)", re.IGNORECASE | re.DOTALL)
"""A number, which `numbers` reads, and its suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCost:
    """What one forward pass of one image costs, from the plan.

    `activations` counts the outputs of convolutions; `traffic_bytes` estimates the memory traffic of an eager
    forward pass in fp32 with a batch of one.
    """

    macs: int
    parameters: int
    activations: int
    traffic_bytes: int


def count_cost(recipe: Recipe) -> NetworkCost:
    """The cost of a recipe's network on its data set's images.

    Raises:
        InvalidValueError: the family refuses the options, or the images are too small for it.
    """
    return _count_cost(recipe.model, recipe.dataset, as_json_text(recipe.model_options))


@lru_cache(maxsize=4096)
def _count_cost(model: str, dataset: str, options: str) -> NetworkCost:
    spec = get_dataset_spec(dataset)
    plan = build_plan(
        model, input_shape=spec.input_shape, num_classes=spec.num_classes, **json.loads(options)
    )
    return NetworkCost(
        macs=plan.macs,
        parameters=plan.parameters,
        activations=plan.activations,
        traffic_bytes=plan.traffic_bytes(),
    )


def resolve_recipe(study: Study, params: Params, number: int) -> Recipe:
    """The recipe of one trial. Where `macs_share` is among its params, the width that uses that share.

    The network is then the widest of its family (by the option that `ModelFamily.width` names) whose MACs are
    within that share of the study's limit. MACs rise with the width, so it is found by halving. They rise in
    steps, since channels are whole multiples of the family's divisor, and the MACs land below the share by up
    to a step. At a share of 1 (60 shapes of the sampler `random`, seed 0) networks of `mobilenet` (divisor
    8) have 0.94 of the limit in the mean and 0.67 at least, those of `digits-mobilenet` (divisor 4) 0.95 and
    0.59, those of `digits-front` (divisor 1) 0.99 and 0.90.

    A shape that is beyond its share at its narrowest keeps that width. The limit refuses it only where it is
    beyond the whole limit too; else it is trained, above its share.

    Raises:
        InvalidValueError: the study has no limit on MACs to take a share of.
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
    """The recipe with another width, by its family's own option."""
    return recipe.with_changes(
        model_options={**recipe.model_options, _width_option(recipe.model).name: width}
    )


def width_bounds(model: str) -> tuple[float, float]:
    """The least and the largest width of a family; whole numbers where its widths are.

    Raises:
        InvalidValueError: it has none.
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
            " it (ModelFamily.width)"
        )
    return option


def with_spread_share(study: Study) -> Study:
    """The study, and where a cost is an objective, with small shares of the limit searched too.

    A front needs networks of every cost; those of `macs_share` alone would all lie near the limit.
    """
    if not any(objective.is_cost for objective in study.objectives):
        return study
    parameters = [
        Float(p.name, SPREAD_SHARE, p.high, log=True, when=p.when)
        if isinstance(p, Float) and p.name == MACS_SHARE and SPREAD_SHARE < p.low < p.high
        else p
        for p in study.space.parameters
    ]
    return study.with_changes(space=Space(*parameters))


def refusal(study: Study, cost: NetworkCost) -> str | None:
    """Why the study's limits refuse a network, or None if they admit it."""
    return "; ".join(broken.reason for broken in broken_limits(study.limits, cost)) or None


def too_slow(study: Study, latency_ms: float | None) -> str | None:
    """Why the limit on latency refuses a network that was measured, or None if it admits it."""
    limit = study.limits.max_latency_ms
    if limit is None or latency_ms is None or latency_ms <= limit:
        return None
    return f"{latency_ms:.4g} ms are above the limit of {limit:g} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLimit:
    """A limit that a network breaks: its name in `Limits`, why in words, and by which share of it."""

    limit: str
    reason: str
    excess: float


def broken_limits(limits: Limits, cost: NetworkCost) -> list[BrokenLimit]:
    """The limits that a network breaks, from its plan alone (latency is measured later)."""
    reasons = {}
    for name, got, what in (
        ("max_macs", cost.macs, "MACs"),
        ("max_parameters", cost.parameters, "parameters"),
    ):
        most = getattr(limits, name)
        if most is not None and got > most:
            reasons[name] = f"{got:,} {what} are above the limit of {most:,}"
    least = limits.min_macs
    if least is not None and cost.macs < least:
        reasons["min_macs"] = f"{cost.macs:,} MACs are below the least of {least:,}"
    excess = excess_over(limits, macs=cost.macs, parameters=cost.parameters)
    return [BrokenLimit(limit=name, reason=reason, excess=excess[name]) for name, reason in reasons.items()]


def excess_over(
    limits: Limits, *, macs: int | None, parameters: int | None, latency_ms: float | None = None
) -> dict[str, float]:
    """By how much a network is over each limit, as a share of the limit; 0 or less is within it.

    By the names in `Limits`; a limit that is not set is left out, and so is what is not known of the network.
    """
    excess = {}
    for name, got in (
        ("max_macs", macs),
        ("min_macs", macs),
        ("max_parameters", parameters),
        ("max_latency_ms", latency_ms),
    ):
        limit = getattr(limits, name)
        if got is not None and limit is not None:
            excess[name] = 1 - got / limit if name == "min_macs" else got / limit - 1
    return excess


def parse_count(text: str, *, also: str = "") -> int:
    """A whole number, or a number with k, M or G (decimal, any case): ``30M`` is 30,000,000.

    Commas and underscores may stand where they group thousands: ``1,500,000``.

    Args:
        also: what else the text might have been, for the message.

    Raises:
        InvalidValueError: anything else, or a value that is not a positive whole number of at most 64 bits.
    """
    rule = f"a count is a positive whole number, or one with k, M or G such as 30M{also}, got {cut(text)}"
    match = COUNT_PATTERN.fullmatch(text.strip())
    try:
        value = read_decimal(match[1]) * SUFFIXES.get(match[2].lower(), 1) if match else Decimal(0)
    except InvalidValueError as error:
        raise InvalidValueError(rule + way_out(text.strip())) from error
    if not 1 <= value <= MAX_WHOLE or value != value.to_integral_value():
        raise InvalidValueError(rule)
    return int(value)


def parse_macs(text: str, dataset: str) -> int:
    """A count, or a share of a family's default network on `dataset`: ``0.5*resnet18`` ``0.5 x resnet18``."""
    share, star, family = SHARE_PATTERN.sub("*", text).partition("*")
    if not star:
        return parse_count(text, also=", or a share of a network such as 0.5*resnet18")
    rule = f"a share must be a positive number, as in 0.5*resnet18, got {cut(text)}"
    try:
        factor = read_decimal(share)
    except InvalidValueError as error:
        raise InvalidValueError(rule + way_out(share.strip())) from error
    if not factor > 0:
        raise InvalidValueError(rule)
    spec = get_dataset_spec(dataset)
    plan = build_plan(family.strip(), input_shape=spec.input_shape, num_classes=spec.num_classes)
    macs = factor * plan.macs
    if macs > MAX_WHOLE:
        raise InvalidValueError(f"a limit must fit in 64 bits, got {cut(text)}")
    return round(macs)
