"""What every schedule must do. A new one needs a row of written-out values here, and nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eml_models.training.schedules import SCHEDULES

AT = (0.0, 0.15, 0.3, 0.5, 0.65, 0.75, 1.0)
VALUES = {
    "constant": (1, 1, 1, 1, 1, 1, 1),
    "step": (1, 1, 1, 0.1, 0.1, 0.01, 0.01),
    "exponential": (1, 0.501187, 0.251189, 0.1, 0.050119, 0.031623, 0.01),
    "cosine": (1, 0.945503, 0.793893, 0.5, 0.273005, 0.146447, 0),
    "one_cycle": (0.04, 0.52, 1, 0.811746, 0.500002, 0.283060, 0.000004),
    "linear": (1, 0.85, 0.7, 0.5, 0.35, 0.25, 0),
}
EVERY = pytest.mark.parametrize("name", SCHEDULES)


@EVERY
def test_values_are_those_written_out(name: str) -> None:
    got = [SCHEDULES[name].multiplier(progress) for progress in AT]
    assert got == pytest.approx(VALUES[name], abs=1e-6)


@EVERY
@given(progress=st.floats(0, 1))
def test_multiplier_is_finite_and_in_its_range(name: str, progress: float) -> None:
    value = SCHEDULES[name].multiplier(progress)
    assert isinstance(value, float)
    assert math.isfinite(value)
    assert 0 <= value <= 1


@EVERY
def test_peak_is_one(name: str) -> None:
    assert max(SCHEDULES[name].multiplier(i / 1000) for i in range(1001)) == pytest.approx(1)


@EVERY
def test_table_names_its_source(name: str) -> None:
    assert SCHEDULES[name].name == name
    assert SCHEDULES[name].source
