"""How far over its limits a network is: what refuses it, and what the sampler learns from."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.feasible.cost import NetworkCost
from tune_jobs.feasible.limits import broken_limits, excess_over
from tune_jobs.search.optuna_view import constraints_of
from tune_jobs.study.method import Limits
from tune_jobs.study.rows import State, TrialRow

LIMITS = Limits(max_macs=100, min_macs=50, max_parameters=10, max_latency_ms=2.0)


def test_excess_is_a_share_of_the_limit_and_negative_within_it() -> None:
    assert excess_over(LIMITS, macs=150, parameters=5, latency_ms=2.5) == pytest.approx(
        {"max_macs": 0.5, "min_macs": -2.0, "max_parameters": -0.5, "max_latency_ms": 0.25}
    )
    assert excess_over(LIMITS, macs=25, parameters=None) == pytest.approx(
        {"max_macs": -0.75, "min_macs": 0.5}
    )
    assert excess_over(Limits(), macs=25, parameters=5, latency_ms=1.0) == {}


@given(macs=st.integers(1, 200), parameters=st.integers(1, 20))
def test_what_refuses_a_network_is_what_the_sampler_is_told(macs: int, parameters: int) -> None:
    cost = NetworkCost(macs=macs, parameters=parameters, activations=1, traffic_bytes=1)
    row = TrialRow(
        study="s",
        trial_id="s/0",
        number=0,
        attempt=0,
        state=State.INFEASIBLE,
        reason="because a test says so",
        macs=macs,
        parameters=parameters,
        params="{}",
        seed=0,
        ended_at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    told = {name: value for name, value in constraints_of(LIMITS, row).items() if value > 0}
    broken = {broken.limit: broken.excess for broken in broken_limits(LIMITS, cost)}
    assert told == (broken or {"refused": 1.0})
