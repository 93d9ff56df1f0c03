"""Early stopping, limits and the mode of latencies: rules of their values."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from eml_models.errors import InvalidValueError
from tune_jobs.study.method import Asha, LatencyMode, Limits
from tune_jobs.study.rows import as_json_text


@pytest.mark.parametrize(
    ("asha", "epochs", "rungs"),
    [
        (Asha(), 27, (1, 3, 9)),
        (Asha(), 28, (1, 3, 9, 27)),
        (Asha(), 1, ()),
        (Asha(min_epochs=4, reduction_factor=2), 20, (4, 8, 16)),
        (Asha(min_epochs=4), 4, ()),
    ],
)
def test_rungs_are_powers_below_the_epochs(asha: Asha, epochs: int, rungs: tuple[int, ...]) -> None:
    assert asha.rungs(epochs) == rungs


@pytest.mark.parametrize(
    ("build", "problems"),
    [
        (
            lambda: Asha(min_epochs=0, reduction_factor=1),
            ["min_epochs must be at least 1, got 0", "reduction_factor must be at least 2, got 1"],
        ),
        (lambda: Limits(max_macs=0), ["max_macs must be at least 1, got 0"]),
        (
            lambda: Limits(max_parameters=-1, max_latency_ms=0.0),
            [
                "max_parameters must be at least 1, got -1",
                "max_latency_ms must be above 0 and finite, got 0.0",
            ],
        ),
        (lambda: Limits(max_latency_ms=math.nan), ["max_latency_ms must be above 0 and finite, got nan"]),
        (
            lambda: Limits(min_macs=2_000, max_macs=1_000),
            ["min_macs must not be above max_macs, got 2,000 and 1,000"],
        ),
        (lambda: Limits(max_macs=10**400), ["max_macs must be at most 9,223,372,036,854,775,807, got 1000"]),
        (lambda: Limits(min_macs=10**5000), ["min_macs must be at most", "got a whole number of thousands"]),
        (lambda: Limits(max_latency_ms=10**400), ["max_latency_ms must be above 0 and finite, got inf"]),
        (lambda: Limits(own=(("gb", None, None),)), ["gb must be a finite number", "got (None, None)"]),
        (lambda: Limits(own=(("gb", None, "8"),)), ["gb must be a finite number", "got (None, '8')"]),
        (lambda: Limits(own=(("gb", None, 8), ("gb", 1, None))), ["gb has two limits; give one"]),
        (lambda: Limits(own=("gb",)), ["limits name a cost by a text", "got 'gb'; rename it"]),
        (lambda: Limits(own=8), ["limits must be bounds by name", "got 8"]),  # type: ignore[arg-type]  # the error
        (lambda: LatencyMode(batch_size=0), ["batch_size must be at least 1, got 0"]),
        (lambda: LatencyMode(mode="fp31/channels_last/eager"), ["'fp31'"]),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_with_all_of_its_problems(
    build: object, problems: list[str]
) -> None:
    with pytest.raises(InvalidValueError) as refused:
        build()  # type: ignore[operator]  # functions, above
    assert all(problem in str(refused.value) for problem in problems)


@pytest.mark.parametrize(
    "bound",
    [
        math.inf, -math.inf, math.nan, 10**400, -(10**400), [10**5000], True, "8", (1, 2, 3), (None, None),
        (2, 1), (1, math.inf), (None, math.nan), np.array([1, 2]), np.float64("nan"), Decimal("inf"), 1j,
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["gb", "macs"])
def test_a_limit_that_is_no_finite_number_is_refused(name: str, bound: object) -> None:
    with pytest.raises(InvalidValueError, match=f"limits: {name} must be a finite number, .*got"):
        Limits.of_costs({name: bound})  # type: ignore[dict-item]  # the error


@pytest.mark.parametrize(
    ("bound", "way_out"),
    [
        ("5k", "write it as a whole number: 5000"),
        ((None, "1.5M"), "write it as a whole number: 1500000"),
        ("0.5", "write it without quotes: 0.5"),
        ("0.5*resnet18", "write it as a number of Python, without quotes"),
    ],
)
def test_a_limit_as_a_text_is_refused_with_the_number_to_write(bound: object, way_out: str) -> None:
    with pytest.raises(InvalidValueError, match=f"limits: macs must be a finite number, .*; {way_out}$"):
        Limits.of_costs({"macs": bound})  # type: ignore[dict-item]  # the error


@pytest.mark.parametrize("name", [3, "", None, 'a"b', ("gb",)])
def test_a_limit_on_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidValueError, match="limits name a cost by a text"):
        Limits.of_costs({name: 8})  # type: ignore[dict-item]  # the error


@pytest.mark.parametrize(
    ("bound", "own"),
    [
        (8, (None, 8)),
        (-8, (None, -8)),
        (0, (None, 0)),
        (np.int64(8), (None, 8)),
        (np.float32(0.5), (None, 0.5)),
        (torch.tensor(8), (None, 8)),
        (Decimal("0.5"), (None, 0.5)),
        (Fraction(1, 2), (None, 0.5)),
        (2**64, (None, 2.0**64)),
        ((Decimal(1), np.int64(2)), (1.0, 2)),
        ([None, 3], (None, 3)),
        ((3, None), (3, None)),
    ],
)
def test_a_limit_is_any_finite_number_and_survives_json(bound: Any, own: object) -> None:
    limits = Limits.of_costs({"gb": bound})
    assert limits.own == (("gb", *own),)  # type: ignore[misc]  # a pair
    assert Limits.from_json(json.loads(as_json_text(limits.as_json()))) == limits
    assert Limits(own={"gb": bound}) == limits  # type: ignore[arg-type]  # a mapping is taken too


def test_limits_on_macs_and_parameters_are_those_of_networks() -> None:
    assert Limits.of_costs({"macs": 30e6, "parameters": 5}) == Limits(max_macs=30_000_000, max_parameters=5)
    assert Limits.of_costs({"macs": 0.5}).own == (("macs", None, 0.5),)
    with pytest.raises(InvalidValueError, match="max_macs must be at most"):
        Limits.of_costs({"macs": 2**63})


def test_a_range_of_one_amount_is_allowed() -> None:
    assert Limits(min_macs=5, max_macs=5).as_json() == {
        "max_macs": 5,
        "min_macs": 5,
        "max_parameters": None,
        "max_latency_ms": None,
        "own": [],
    }


def test_mode_of_latencies_is_kept_as_its_canonical_text() -> None:
    assert LatencyMode() == LatencyMode(mode="fp32/channels_last/eager", batch_size=1)
    assert LatencyMode(mode=LatencyMode().mode) == LatencyMode()
