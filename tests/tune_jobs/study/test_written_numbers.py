"""Numbers are read as people wrote them, or refused with the way to write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eml_models.errors import InvalidValueError
from tune_jobs.study.written_numbers import parse_count, read_number, read_whole

GROUPS_OF_THREE = [
    ("1,500,000", 1_500_000),
    ("1_500_000", 1_500_000),
    ("1,500", 1_500),
    ("12,345,678,901", 12_345_678_901),
]
NOT_GROUPED = [
    "1,5", "1_5", "15,00", "1,5000", "1,500_000", "1,,500", ",500", "1,500,", "0,500", "1500,000", "1 500",
    "1__500", "_1", "1_", "\u0661\u0665", "1.500,5", "", ",", "\u221e", ".", "+", "-.", "1.2.3", "+-1",
]  # fmt: skip


@given(st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1))
def test_whole_numbers_are_read_with_and_without_groups(number: int) -> None:
    assert read_whole(str(number)) == read_whole(f"{number:,}") == read_whole(f"{number:_}") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_as_the_float_that_they_are(number: float) -> None:
    assert read_number(repr(number)) == number
    assert read_number(f"{number:,}" if abs(number) < 1e15 else repr(number)) == number


@pytest.mark.parametrize("text", [*NOT_GROUPED, "1" * 5000 + ",5", "nan", "inf", "0x10", "1e400"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        read_number(text)
    with pytest.raises(InvalidValueError):
        read_whole(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (".5", 0.5),
        ("1.", 1.0),
        ("+0.5", 0.5),
        ("-.5", -0.5),
        ("+.5e1", 5.0),
        ("1.e2", 100.0),
        ("+1,500.", 1500),
    ],
)
def test_numbers_may_lack_a_digit_beside_the_point_and_may_have_a_plus(text: str, number: float) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize("text", ["32.", "32.0", "+32", "+32."])
def test_whole_numbers_may_have_a_point(text: str) -> None:
    assert read_whole(text) == 32


@pytest.mark.parametrize(
    ("text", "count"),
    [
        *GROUPS_OF_THREE,
        ("30M", 30_000_000),
        ("1.5M", 1_500_000),
        ("1.5 m", 1_500_000),
        (".5k", 500),
        ("1.3e8", 130_000_000),
        ("1,500k", 1_500_000),
        ("9007199254740993", 9_007_199_254_740_993),
        ("9223372036.854775807G", 9_223_372_036_854_775_807),
    ],
)
def test_counts_are_read_exactly(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize(
    "text",
    [
        *NOT_GROUPED,
        "1,5M",
        "1_5M",
        "1_5",
        "1.5",
        "0.5",
        "1e-3",
        "1e20",
        "9223372036854775808",
        "1e9999999999",
        "M",
    ],
)
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="a count is a positive whole number"):
        parse_count(text)


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("1,5M", r"a decimal comma is written as a point \('1\.5M'\)"),
        ("1_5M", "as in 1,500,000 or 1_500_000"),
    ],
)
def test_a_decimal_comma_gets_the_way_out(text: str, way_out: str) -> None:
    with pytest.raises(InvalidValueError, match=way_out):
        parse_count(text)
