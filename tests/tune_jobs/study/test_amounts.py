"""Amounts as people write them: exact, or refused with the way to write them."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from eml_models.networks.registry import build_plan
from tune_jobs.study.amounts import parse_count, parse_macs

GROUPS_OF_THREE = [
    ("1,500,000", 1_500_000),
    ("1_500_000", 1_500_000),
    ("1,500", 1_500),
    ("12,345,678,901", 12_345_678_901),
]
NOT_GROUPED = [
    "1,5", "1_5", "15,00", "1,5000", "1,500_000", "1,,500", ",500", "1,500,", "0,500", "1500,000", "1 500",
    "1__500", "_1", "1_", "\u0661\u0665", "1.500,5", "", ",", "\u221e",
]  # fmt: skip


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
    assert parse_macs(text, "digits") == count


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


def test_a_share_of_a_network_is_a_number_too() -> None:
    macs = build_plan("resnet18", input_shape=(1, 8, 8), num_classes=10).macs
    assert parse_macs("0.5*resnet18", "digits") == macs // 2
    assert parse_macs("1,000 x resnet18", "digits") == 1000 * macs
    for text in (
        "0,5*resnet18",
        "0_5*resnet18",
        "nan*resnet18",
        "-1*resnet18",
        "*resnet18",
        "1e308*resnet18",
    ):
        with pytest.raises(InvalidValueError):
            parse_macs(text, "digits")
    with pytest.raises(InvalidValueError, match=r"written as a point \('0\.5'\)"):
        parse_macs("0,5*resnet18", "digits")
