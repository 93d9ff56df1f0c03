"""An option with one value is refused if it is given twice; click would keep the last without a word."""

from __future__ import annotations

import click
import pytest
from cli_testing import Cli

from tune_jobs.cli.main import cli as program

ONE_VALUE = [
    (verb, option)
    for verb, command in sorted(program.commands.items())
    for option in command.params
    if isinstance(option, click.Option) and not (option.multiple or option.is_flag)
]


@pytest.mark.parametrize(("verb", "option"), ONE_VALUE, ids=lambda part: getattr(part, "name", part))
def test_second_value_of_an_option_is_refused(cli: Cli, verb: str, option: click.Option) -> None:
    value = option.type.choices[0] if isinstance(option.type, click.Choice) else "1"
    arguments = [p for p in program.commands[verb].params if isinstance(p, click.Argument)]
    name = option.opts[0]
    code, out, err = cli(verb, *("1" for _ in arguments), name, value, name, value)
    assert (code, out) == (2, "")
    assert f"Error: {name} is given 2 times and has one value; give it once" in err
    assert f"Usage: tune-jobs {verb}" in err


def test_values_of_several_kinds_meet_the_rule(cli: Cli) -> None:
    """The short form, the form with an equals sign, and the long form are one option."""
    code, _, err = cli("run", "digits-recipes", "--dataset=mnist", "--dataset", "cifar10", "--dry-run")
    assert code == 2
    assert "--dataset is given 2 times" in err
    code, _, err = cli("latency", "resnet18", "--batch-sizes", "1", "--batch-sizes", "32")
    assert code == 2
    assert "--batch-sizes is given 2 times" in err
    code, _, err = cli(
        "run", "digits-recipes", "--measure-latency", "--measure-latency", "fp32@2", "--dry-run"
    )
    assert code == 2
    assert "--measure-latency is given 2 times" in err


def test_repeatable_options_and_flags_may_come_twice(cli: Cli) -> None:
    code, _, err = cli(
        "run", "digits-recipes", "--fix", "optimizer=sgd", "--fix", "batch_size=32", "--no-asha", "--no-asha",
        "--dry-run", "--dry-run",
    )  # fmt: skip
    assert code == 0, err


def test_an_option_from_the_environment_may_be_given_once_more(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_JOBS_STORE", "elsewhere")
    code, out, err = cli("run", "digits-recipes", "--store", "here", "--dry-run")
    assert code == 0, err
    assert "/here" in out


def test_wrong_words_have_the_usage_of_their_verb(cli: Cli) -> None:
    code, _, err = cli("run", "digits-recipes", "--colour", "red")
    assert code == 2
    assert "Usage: tune-jobs run [OPTIONS] STUDY" in err
    assert "No such option" in err
    assert err.count("No such option") == 1


def test_repeatable_options_say_so() -> None:
    for command in program.commands.values():
        for option in command.params:
            if isinstance(option, click.Option):
                assert ("repeatable" in (option.help or "")) == option.multiple, option.name
