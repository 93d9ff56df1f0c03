"""Numbers are read as people wrote them, or refused with the way to write them."""

from __future__ import annotations

import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eml_models.errors import InvalidValueError
from eml_models.networks.registry import build_plan
from tune_jobs.cli import cli, main
from tune_jobs.cli.latency_commands import _parse_batch_sizes
from tune_jobs.cli.resolving import _parse_gpus, _parse_latency
from tune_jobs.feasible.amounts import parse_count, parse_macs
from tune_jobs.study.written_numbers import read_number, read_whole

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
def test_a_decimal_comma_is_told_the_way_out(text: str, way_out: str) -> None:
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


def test_no_option_reads_underscores_or_commas_as_python_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every option that takes a number, found in the commands themselves."""
    kinds = (click.types.IntParamType, click.types.FloatParamType, click.IntRange, click.FloatRange)
    asked = [
        (verb, option.opts[-1])
        for verb, command in cli.commands.items()
        for option in command.params
        if isinstance(option, click.Option) and isinstance(option.type, kinds)
    ]
    assert ("run", "--trials") in asked
    assert ("submit", "--max-latency-ms") in asked
    for verb, option in asked:
        for text in ("1_5", "1,5", "\u0661"):
            monkeypatch.setattr(sys, "argv", ["tune-jobs", verb, "x", option, text])
            assert main() == 2
            assert "is written like" in capsys.readouterr().err, (verb, option, text)


@pytest.mark.parametrize("text", ["1,024", "1_0", "01", "0", "\u0661", "1" * 5000])
def test_batch_sizes_are_plain_whole_numbers(text: str) -> None:
    assert _parse_batch_sizes("1,32", "cpu") == (1, 32)
    with pytest.raises(InvalidValueError, match="--batch-sizes must be whole numbers"):
        _parse_batch_sizes(text, "cpu")


def test_numbers_inside_other_words_are_read_alike() -> None:
    assert _parse_gpus("0.25") == 0.25
    assert _parse_gpus("auto") == "auto"
    assert _parse_latency("@1,024").batch_size == 1024
    for read in (lambda: _parse_gpus("0,25"), lambda: _parse_gpus("0_5"), lambda: _parse_latency("@1_0")):
        with pytest.raises(InvalidValueError):
            read()
