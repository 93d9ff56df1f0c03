"""A clock that steps by a fixed time at each reading."""

from __future__ import annotations

from datetime import timedelta

from tune_jobs.testing.clock import SteppingClock
from tune_jobs.testing.rows import NOON


def test_clock_steps_forward_and_backward() -> None:
    forward, backward = SteppingClock(NOON), SteppingClock(NOON, step_s=-60)
    assert [forward(), forward()] == [NOON + timedelta(seconds=n) for n in (1, 2)]
    assert backward() == NOON - timedelta(minutes=1)
