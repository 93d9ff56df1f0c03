"""Cost of a network: MACs, parameters, activations and memory traffic, counted from its plan.

Builds no network, so a cost takes milliseconds; each process caches the costs. Called wherever a proposal or
a row needs its cost.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache

from eml_models.data.datasets import get_dataset_spec
from eml_models.networks.registry import build_plan
from eml_models.training.recipe import Recipe
from tune_jobs.study.rows import as_json_text


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCost:
    """The cost of one forward pass of one image, from the plan.

    `activations` counts the outputs of convolutions; `traffic_bytes` estimates the memory traffic of an eager
    forward pass in fp32 with a batch of one.
    """

    macs: int
    parameters: int
    activations: int
    traffic_bytes: int

    def value(self, name: str) -> float | None:
        """A cost by name; None for an unknown name."""
        return getattr(self, name, None)

    def columns(self) -> dict[str, int | None]:
        """The columns of a trial's row that hold the cost."""
        return dict(asdict(self))


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
