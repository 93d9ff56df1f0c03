"""Costs of networks: the plan's own numbers, on the images of the recipe's data set."""

from __future__ import annotations

import pytest

from eml_models.data.datasets import get_dataset_spec
from eml_models.errors import InvalidValueError
from eml_models.networks.registry import build_plan
from eml_models.training.recipe import Recipe
from tune_jobs.feasible.cost import NetworkCost, count_cost


def a_recipe(model: str, dataset: str, **options: object) -> Recipe:
    return Recipe(model=model, dataset=dataset, model_options=options, learning_rate=0.1, epochs=1)


def test_default_mobilenet_has_the_macs_that_its_layers_add_up_to() -> None:
    """87,976,448: summed by hand for 32 px and 10 classes, with strides of 1 where CIFAR asks for them."""
    assert count_cost(a_recipe("mobilenet", "cifar10")).macs == 87_976_448


@pytest.mark.parametrize("dataset", ["digits", "cifar10"])
@pytest.mark.parametrize(
    ("model", "options"), [("resnet18", {"width": 8}), ("mobilenet", {"widths": [0.5] * 7})]
)
def test_cost_is_that_of_the_plan_on_the_images_of_the_data_set(
    model: str, options: dict[str, object], dataset: str
) -> None:
    spec = get_dataset_spec(dataset)
    plan = build_plan(model, input_shape=spec.input_shape, num_classes=spec.num_classes, **options)
    assert count_cost(a_recipe(model, dataset, **options)) == NetworkCost(
        macs=plan.macs,
        parameters=plan.parameters,
        activations=plan.activations,
        traffic_bytes=plan.traffic_bytes(),
    )


def test_options_that_the_family_refuses_have_no_cost() -> None:
    with pytest.raises(InvalidValueError, match="'width' must be a whole number"):
        count_cost(a_recipe("resnet18", "digits", width=0))
