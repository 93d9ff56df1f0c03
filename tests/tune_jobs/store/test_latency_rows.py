"""A row of a timing: its times are positive and in order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_testing import LATENCY

from eml_models.errors import InvalidValueError


@pytest.mark.parametrize("changes", [{"median_ms": float("nan")}, {"q1_ms": 50.0}, {"n": 0}, {"q1_ms": -1.0}])
def test_a_time_that_is_none_makes_no_row(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError, match="latency"):
        replace(LATENCY, **changes)  # type: ignore[arg-type]  # fields by name
