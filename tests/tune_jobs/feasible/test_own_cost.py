"""The cost function of own training: what it may return, and its errors."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from eml_models.errors import EmlError, InvalidValueError
from tune_jobs import Float, Maximize, Space, Study
from tune_jobs.errors import RunFailedError, StoreError
from tune_jobs.feasible.own_cost import OwnCost, cost_of_trial, recipe_of_trial
from tune_jobs.study.rows import as_json_text


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
    ("value", "number"),
    [
        (3, 3),
        (-0.5, -0.5),
        (2**63 - 1, 2**63 - 1),
        (2**63, 2.0**63),
        (10**300, 1e300),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.array([3]), 3),
        (torch.tensor(0.5), 0.5),
        (torch.tensor([[3]]), 3),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 2), 0.5),
    ],
)
def test_a_number_of_any_kind_is_a_plain_number_that_the_store_holds(value: Any, number: float) -> None:
    found = cost_of(lambda params: {"gb": value}).value("gb")
    assert (found, type(found)) == (number, type(number))
    assert json.loads(as_json_text({"gb": found})) == {"gb": number}


@pytest.mark.parametrize(
    "value",
    [
        10**400, -(10**400), [10**5000], math.inf, -math.inf, math.nan, True, np.True_, "3", b"3", None, 1j,
        [3], np.array([1, 2]), np.array([]), torch.tensor([1, 2]), torch.tensor(True), Decimal("inf"),
        Decimal("sNaN"), Fraction(10**400), object(), len, int,
    ],
)  # fmt: skip
def test_any_other_value_is_refused_with_what_was_got(value: Any) -> None:
    with pytest.raises(InvalidValueError) as error:
        cost_of(lambda params: {"gb": value})
    words = str(error.value)
    assert "must return finite numbers by name, got 'gb': " in words
    assert words.endswith('; return such as {"macs": 3e7}, and leave out what is unknown')
    assert len(words) < 300


@pytest.mark.parametrize("value", [-1, 1e30, 2**63])
def test_a_count_fits_its_column(value: float) -> None:
    with pytest.raises(InvalidValueError, match="must return a count from 0 to 9,223,372,036,854,775,807 as"):
        cost_of(lambda params: {"macs": value})
    assert cost_of(lambda params: {"gb": value}).value("gb") == value


@pytest.mark.parametrize("error", [RunFailedError("no"), StoreError("no"), EmlError("no"), SystemExit(3)])
def test_an_error_of_ours_out_of_the_function_is_its_error(error: BaseException) -> None:
    def cost(params: dict[str, Any]) -> dict[str, float]:
        raise error

    with pytest.raises(InvalidValueError, match=f"raised {type(error).__name__}: .*mend it"):
        cost_of(cost)


def test_a_callable_object_is_named_by_its_class() -> None:
    class Cost:
        def __call__(self, params: dict[str, Any]) -> Any:
            return params["lr"]

    with pytest.raises(InvalidValueError, match=r"cost function .*Cost of study 'own' must return numbers"):
        cost_of(partial(Cost()))


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
