"""Warm-up and bounds, which belong to no single schedule; those are in the contract suite."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.training.schedules import get_schedule_spec, multiplier_at


def test_warmup_rises_on_a_line_and_leaves_the_whole_schedule_after_it() -> None:
    values = [multiplier_at("cosine", progress, 0.2) for progress in (0.0, 0.05, 0.1, 0.2, 0.6, 1.0)]
    assert values == pytest.approx([0.0, 0.25, 0.5, 1.0, 0.5, 0.0])


def test_warmup_rises_to_the_first_value_of_the_schedule() -> None:
    assert multiplier_at("one_cycle", 0.05, 0.1) == pytest.approx(0.02)
    assert multiplier_at("one_cycle", 0.1, 0.1) == pytest.approx(0.04)


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_progress_outside_its_range_is_an_error(progress: float) -> None:
    with pytest.raises(InvalidValueError, match=r"progress must be in \[0, 1\]"):
        multiplier_at("cosine", progress)


def test_unknown_schedule_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="unknown schedule 'onecycle'; known: one_cycle"):
        get_schedule_spec("onecycle")
