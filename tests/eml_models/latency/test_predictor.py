"""The predictor finds costs that are there, and says how wrong it is where they are not."""

from __future__ import annotations

import random

import pytest

from eml_models.errors import InvalidValueError
from eml_models.latency.predictor import FEATURES, fit_predictor, rank_correlation


def networks(count: int = 60) -> list[dict[str, float]]:
    generator = random.Random(3)
    return [
        {
            "macs": generator.uniform(1e6, 1e8),
            "activations": generator.uniform(1e5, 1e6),
            "traffic_bytes": generator.uniform(1e6, 1e7),
            "kernels": float(generator.randint(40, 200)),
        }
        for _ in range(count)
    ]


def test_a_sum_of_costs_is_found() -> None:
    drawn = networks()
    times = [1e-7 * n["macs"] + 2e-6 * n["traffic_bytes"] + 0.02 * n["kernels"] + 0.5 for n in drawn]
    predictor = fit_predictor(drawn, times)
    assert predictor.quality.p95_error < 1e-6
    assert predictor.quality.rank_correlation == pytest.approx(1)
    assert predictor.baseline.median_error > 0.1
    assert predictor.predict_ms(drawn[0]) == pytest.approx(times[0])
    assert dict(zip(FEATURES, predictor.weights, strict=False))["activations"] == pytest.approx(0, abs=1e-9)


def test_times_that_follow_nothing_are_not_predicted() -> None:
    generator = random.Random(5)
    predictor = fit_predictor(networks(), [generator.uniform(1, 100) for _ in range(60)])
    assert predictor.quality.median_error > 0.3
    assert abs(predictor.quality.rank_correlation) < 0.5
    assert "on those left out: median error" in predictor.describe()


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="at least 10 measured networks"):
        fit_predictor(networks(4), [1.0] * 4)


def test_rank_correlation_by_hand() -> None:
    assert rank_correlation([1, 2, 3], [10, 20, 1000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 2, 4], [1, 3, 2, 4]) == pytest.approx(0.9487, abs=1e-4)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == 0
