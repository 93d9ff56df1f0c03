"""Whether a network may be trained at all, decided from its plan before any worker is asked for.

Pure functions of a study and a recipe. The session refuses what breaks a limit and writes the refusal down;
nothing here samples, records or builds a module.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache

from eml_models.datasets import get_dataset_spec
from eml_models.errors import InvalidValueError
from eml_models.recipe import Recipe
from eml_models.registry import build_plan
from tune_jobs.study import Limits, Study
from tune_jobs.trial import as_json_text

SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9}
COUNT_PATTERN = re.compile(r"([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([kmg]?)", re.IGNORECASE)


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


def refusal(study: Study, cost: NetworkCost) -> str | None:
    """Why the study's limits refuse a network, or None if they admit it."""
    return "; ".join(_broken_limits(study.limits, cost)) or None


def _broken_limits(limits: Limits, cost: NetworkCost) -> list[str]:
    broken = []
    if limits.max_macs is not None and cost.macs > limits.max_macs:
        broken.append(f"{cost.macs:,} MACs are above the limit of {limits.max_macs:,}")
    if limits.min_macs is not None and cost.macs < limits.min_macs:
        broken.append(f"{cost.macs:,} MACs are below the least of {limits.min_macs:,}")
    if limits.max_parameters is not None and cost.parameters > limits.max_parameters:
        broken.append(f"{cost.parameters:,} parameters are above the limit of {limits.max_parameters:,}")
    return broken


def parse_count(text: str) -> int:
    """A whole number, or a number with k, M or G (decimal, any case): ``30M`` is 30,000,000.

    Raises:
        InvalidValueError: anything else, or a value that is not a positive whole number.
    """
    match = COUNT_PATTERN.fullmatch(text.strip().replace("_", "").replace(",", ""))
    value = float(match[1]) * SUFFIXES.get(match[2].lower(), 1) if match else 0.0
    if value < 1 or abs(value - round(value)) > 1e-6:
        raise InvalidValueError(
            f"must be a positive whole number, or one with k, M or G such as 30M, got {text!r}"
        )
    return round(value)


def parse_macs(text: str, dataset: str) -> int:
    """A count, or a share of a family's default network on `dataset`: ``0.5*resnet18``."""
    share, star, family = text.partition("*")
    if not star:
        return parse_count(text)
    try:
        factor = float(share)
    except ValueError:
        factor = math.nan
    if not factor > 0 or math.isinf(factor):
        raise InvalidValueError(f"a share must be a positive number, as in 0.5*resnet18, got {text!r}")
    spec = get_dataset_spec(dataset)
    plan = build_plan(family.strip(), input_shape=spec.input_shape, num_classes=spec.num_classes)
    return round(factor * plan.macs)
