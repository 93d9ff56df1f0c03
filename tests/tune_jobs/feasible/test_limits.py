"""Limits: what refuses a network, by how much, and what the sampler and the rows learn of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_testing import Clock, MemoryLog, play, rising

from tune_jobs.feasible.cost import NetworkCost
from tune_jobs.feasible.limits import broken_limits, excess_over, refusal, too_slow
from tune_jobs.feasible.own_cost import OwnCost
from tune_jobs.inputs.shipped import digits_mobilenet
from tune_jobs.search.optuna_view import constraints_of
from tune_jobs.session.state_machine import Session
from tune_jobs.study.method import LatencyMode, Limits
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
def test_the_sampler_sees_the_limits_that_refuse_a_network(macs: int, parameters: int) -> None:
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
    seen = {name: value for name, value in constraints_of(LIMITS, row).items() if value > 0}
    broken = {broken.limit: broken.excess for broken in broken_limits(LIMITS, cost)}
    assert seen == (broken or {"refused": 1.0})


def test_nothing_beyond_the_limit_is_handed_out_and_refused_ones_are_rows() -> None:
    study = digits_mobilenet().with_changes(
        trials=10, asha=None, limits=Limits(max_macs=110_000, max_parameters=25_000)
    )
    log = MemoryLog()
    play(Session(study, log, clock=Clock()), rising)
    trained = [row for row in log.trials if row.state is State.COMPLETED]
    refused = [row for row in log.trials if row.state is State.INFEASIBLE]
    assert len(trained) == 10
    assert all((row.macs or 0) <= 110_000 and (row.parameters or 0) <= 25_000 for row in trained)
    assert refused
    assert all(
        row.device_s == 0 and row.macs is not None and "above the limit" in row.reason for row in refused
    )
    started = {row.number for row in log.starts}
    assert not started & {row.number for row in refused}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"macs": 101}, "101 MACs are above the limit of 100"),
        ({"macs": 49}, "49 MACs are below the minimum of 50"),
        ({"parameters": 11}, "11 parameters are above the limit of 10"),
        (
            {"macs": 1_000, "parameters": 1_000},
            "1,000 MACs are above the limit of 100; 1,000 parameters are above",
        ),
        ({"macs": 100, "parameters": 10}, None),
        ({"macs": 50}, None),
    ],
)
def test_bounds_are_inclusive_and_each_broken_limit_is_a_reason(
    changes: dict[str, int], reason: str | None
) -> None:
    cost = replace(NetworkCost(macs=75, parameters=5, activations=1, traffic_bytes=1), **changes)
    found = refusal(digits_mobilenet().with_changes(limits=replace(LIMITS, max_latency_ms=None)), cost)
    assert found == reason if reason is None else found is not None and found.startswith(reason)


@pytest.mark.parametrize(
    ("got", "most", "reason"),
    [
        (117 * 0.1, 8, "memory_gb 11.7 is above the limit of 8"),
        (8.0, 7.5, "memory_gb 8 is above the limit of 7.5"),
        (1234567.25, 8, "memory_gb 1,234,567.25 is above the limit of 8"),
        (10**15, 8, "memory_gb 1,000,000,000,000,000 is above the limit of 8"),
        (0.1 + 0.2, 0.3, "memory_gb 0.30000000000000004 is above the limit of 0.3"),
    ],
)
def test_a_reason_has_no_noise_of_floats_unless_it_is_the_difference(
    got: float, most: float, reason: str
) -> None:
    (broken,) = broken_limits(Limits.of_costs({"memory_gb": most}), OwnCost(values={"memory_gb": got}))
    assert broken.reason == reason


@pytest.mark.parametrize(
    ("latency_ms", "reason"), [(2.0, None), (None, None), (2.34567, "2.346 ms are above the limit of 2 ms")]
)
def test_a_measured_latency_is_judged_by_its_own_limit(latency_ms: float | None, reason: str | None) -> None:
    study = digits_mobilenet()
    assert too_slow(study, latency_ms) is None
    limited = study.with_changes(limits=Limits(max_latency_ms=2.0), latency=LatencyMode())
    assert too_slow(limited, latency_ms) == reason
