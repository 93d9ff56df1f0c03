"""Numbers of options: none is read as Python reads it, and numbers inside other words are read alike."""

from __future__ import annotations

import sys

import click
import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.cli import cli, main
from tune_jobs.cli.latency_commands import _parse_batch_sizes
from tune_jobs.cli.resolving import _parse_gpus
from tune_jobs.cli.shared_options import Number, Whole, WholeFrom
from tune_jobs.study.amounts import parse_macs
from tune_jobs.study.words import as_latency
from tune_jobs.study.written_numbers import parse_count


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
    assert as_latency("@1,024").batch_size == 1024
    for read in (lambda: _parse_gpus("0,25"), lambda: _parse_gpus("0_5"), lambda: as_latency("@1_0")):
        with pytest.raises(InvalidValueError):
            read()


def test_numbers_of_options_may_lack_a_digit_beside_the_point_and_may_have_a_plus() -> None:
    for text, number in ((".5", 0.5), ("1.", 1.0), ("+0.5", 0.5)):
        assert Number().convert(text, None, None) == _parse_gpus(text) == number
    for text in ("+32", "32.", "+32.0"):
        assert Whole().convert(text, None, None) == WholeFrom(min=1).convert(text, None, None) == 32
        assert as_latency(f"@{text}").batch_size == 32
    assert parse_count("+.5M") == parse_count("500k") == 500_000
    assert parse_macs(".5*resnet18", "digits") == parse_macs("0.5 x resnet18", "digits")
