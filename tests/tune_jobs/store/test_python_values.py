"""Arrow values of every kind as Python's own, with every digit."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tune_jobs.store.columns.python_values import as_python, beyond_python, exact


def column(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2**62], pa.int64()),
        ([[1, None], None, []], pa.list_(pa.int32())),
        ([{"a": 1, "b": None}, None], pa.struct({"a": pa.int64(), "b": pa.string()})),
        ([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        ([date(1, 1, 1), date.max, None], pa.date32()),
        ([datetime.min, datetime.max, None], pa.timestamp("us")),
        (["a", None, "a"], pa.dictionary(pa.int8(), pa.string())),
    ],
)
def test_values_come_back_as_they_are(values: list[Any], kind: pa.DataType) -> None:
    found = column(values, kind)
    assert as_python(found) == values
    assert not beyond_python(found)


@pytest.mark.parametrize(
    ("count", "kind", "text"),
    [
        (2**31 - 1, pa.date32(), "infinity"),
        (1 - 2**31, pa.date32(), "-infinity"),
        (2**63 - 1, pa.timestamp("us"), "infinity"),
        (86_400 * 10**6, pa.time64("us"), "24:00:00"),
    ],
)
def test_a_value_that_python_cannot_hold_becomes_text(count: int, kind: pa.DataType, text: str) -> None:
    whole = pa.array([count], pa.int32() if kind.bit_width == 32 else pa.int64())
    found = pa.chunked_array([whole.view(kind)])
    assert beyond_python(found)
    assert as_python(found) == [text]


@pytest.mark.parametrize(
    ("text", "value"), [("12", 12), ("0.5", 0.5), ("0.1234567890123456789", Decimal("0.1234567890123456789"))]
)
def test_a_decimal_keeps_every_digit(text: str, value: object) -> None:
    found = exact(Decimal(text))
    assert found == value
    assert type(found) is type(value)
