"""Tests of `tune_jobs.study.steps`: a grid that is computed equals the list of its values."""

from __future__ import annotations

import math
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eml_models.errors import InvalidValueError
from tune_jobs.study.parameters import Float
from tune_jobs.study.steps import STEP_TOLERANCE, Steps

STEPS = st.sampled_from([0.1, 0.25, 0.3, 1e-3, 7.0, 1e-6, 1 / 3])


def listed(low: float, high: float, step: float) -> list[float]:
    """Every value of the grid, added up one after the other in decimals."""
    values, place, width = [], Decimal(repr(low)), Decimal(repr(step))
    while place <= Decimal(repr(high)) + width * Decimal(str(STEP_TOLERANCE)):
        values.append(float(place))
        place += width
    return values


@given(low=st.integers(-50, 50), part=st.floats(0, 40), step=STEPS)
def test_computed_grid_is_the_list_of_its_values(low: int, part: float, step: float) -> None:
    start, end = low / 10, low / 10 + part * step
    expected = listed(start, end, step)
    grid = Steps(start, end, step=step)
    assert list(grid) == expected
    assert list(reversed(grid)) == expected[::-1]
    assert len(grid) == len(expected)
    assert [grid[place] for place in range(len(expected))] == expected
    assert (grid[-1], grid[1:3]) == (expected[-1], tuple(expected[1:3]))
    assert all(value in grid for value in expected)
    assert start - step not in grid
    assert start + step / 2 not in grid
    assert [grid.nearest(value + step / 3) for value in expected] == expected
    with pytest.raises(IndexError):
        grid[len(expected)]


@pytest.mark.parametrize(("step", "count"), [(1e-6, 10**6), (1e-7, 10**7), (1e-12, 10**12)])
def test_fine_grid_is_counted_and_not_listed(step: float, count: int) -> None:
    grid = Float("x", 0.0, 1.0, step=step).grid()
    assert grid is not None
    assert sys.getsizeof(grid) < 1000
    assert len(grid) == count + 1
    assert grid[-1] == 1.0
    assert grid[count // 4] == 0.25
    assert 0.25 in grid


def test_each_value_of_a_fine_grid_stays_itself() -> None:
    parameter = Float("x", 0.0, 1.0, step=1e-13)
    grid = parameter.grid()
    assert grid is not None
    for value in (grid[0], grid[1], grid[10**12 + 7], grid[-2], grid[-1]):
        assert parameter.problem_of(value) is None
        assert parameter.canonical(value) == value


@pytest.mark.parametrize("step", [math.nan, math.inf, 0.0, -0.1])
def test_step_that_is_no_number_above_0_is_refused(step: float) -> None:
    with pytest.raises(InvalidValueError, match="step must be a finite number above 0"):
        Float("x", 0.0, 1.0, step=step)


def test_step_below_the_distance_of_floats_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"step must be at least 2.2e-16, .* got 1e-17; leave it out"):
        Float("x", 0.0, 1.0, step=1e-17)
