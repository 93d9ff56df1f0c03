"""Early stopping, limits and the mode of latencies: rules of their values."""

from __future__ import annotations

import math

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.study.method import Asha, LatencyMode, Limits


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
