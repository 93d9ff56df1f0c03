"""The cost function of own training: what it may return, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eml_models.errors import InvalidValueError
from tune_jobs import Float, Maximize, Space, Study
from tune_jobs.feasible.own_cost import OwnCost, cost_of_trial, recipe_of_trial


def a_study(cost: Any, **changes: Any) -> Study:
    return Study(
        name="own",
        space=Space(Float("lr", 0.1, 1.0)),
        train=lambda params, run: {"iou": 0.5},
        objectives=(Maximize("iou"),),
        epochs=1,
        cost=cost,
        **changes,
    )


def cost_of(cost: Any, **changes: Any) -> Any:
    study = a_study(cost, **changes)
    return cost_of_trial(study, recipe_of_trial(study, {"lr": 0.5}, 0))


def test_costs_are_numbers_by_name_and_fill_the_columns_of_theirs() -> None:
    found = cost_of(lambda params: {"macs": 3e7, "gb": np.float64(params["lr"])})
    assert found == OwnCost(values={"macs": 3e7, "gb": 0.5})
    assert found.columns() == {
        "macs": 30_000_000,
        "parameters": None,
        "activations": None,
        "traffic_bytes": None,
    }
    assert (found.value("gb"), found.value("unknown")) == (0.5, None)
    assert cost_of(None) == OwnCost(values={})


def raises(params: dict[str, Any]) -> dict[str, float]:
    raise KeyError("depth")


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (raises, "cost function raises of study 'own' raised KeyError: 'depth' for the params {'lr': 0.5}"),
        (lambda params: "30M", "must return numbers by name"),
        (lambda params: {"macs": "30M"}, "must return finite numbers by name, got 'macs': '30M'"),
        (lambda params: {"macs": float("nan")}, "must return finite numbers by name"),
        (lambda params: {"macs": True}, "must return finite numbers by name"),
        (lambda params: {3: 1.0}, "must return finite numbers by name, got 3: 1.0"),
        (lambda params: {"gb": 1.0}, "must return 'macs', which a limit names, got ['gb']"),
    ],
)
def test_anything_else_is_an_error_with_the_way_out(cost: Any, words: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        cost_of(cost, limits={"macs": 5})
    assert words in str(error.value)
