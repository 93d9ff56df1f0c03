"""The command line's options, frozen: scripts rely on them."""

from __future__ import annotations

import inspect
from dataclasses import fields

import click
import pytest
from click.testing import CliRunner

from tune_jobs.cli import cli
from tune_jobs.cli.option_values import FinalistsOptions, LatencyOptions, RunOptions

JOB_OPTIONS = {"--follow-link", "--no-wait", "--working-dir"}
OPTIONS = {
    "run": {
        "--address", "--checkpoint-period", "--cpus-per-trial", "--data-dir", "--dataset", "--device",
        "--download", "--dry-run", "--epochs", "--fix", "--format", "--gpus-per-trial", "--keep-checkpoints",
        "--execution",
        "--kernels", "--max-device-hours", "--enqueue", "--max-checkpoint-gb", "--rename", "--retry-failed",
        "--inline", "--trial-timeout", "--warm-start",
        "--max-failed-in-a-row", "--max-failures", "--max-macs", "--max-parameters", "--min-macs", "--name",
        "--no-asha", "--objectives", "--precision", "--sampler", "--seed", "--store", "--trials", "--workers",
        "--scale", "--max-latency-ms", "--measure-latency", "--train-samples",
    },
    "finalists": {
        "--top", "--front", "--repeats", "--epochs", "--baseline",
        "--address", "--checkpoint-period", "--cpus-per-trial", "--data-dir", "--dataset", "--device",
        "--download", "--dry-run", "--execution", "--format", "--gpus-per-trial", "--keep-checkpoints",
        "--kernels", "--max-checkpoint-gb", "--max-device-hours", "--max-failed-in-a-row", "--max-failures",
        "--name", "--rename", "--retry-failed", "--scale", "--store", "--trial-timeout", "--workers",
    },
    "report": {"--by", "--format", "--html", "--pictures", "--pivot", "--store", "--top"},
    "board": {"--host", "--optuna", "--port", "--store", "--token-file"},
    "latency": {
        "--address", "--batch-sizes", "--device", "--format", "--input", "--max-minutes", "--modes",
        "--store", "--threads",
    },
    "status": {"--address", "--format"},
    "logs": {"--address", "--follow"},
    "stop": {"--address"},
    "list": {"--format", "--store"},
    "show": {"--audit", "--format", "--log", "--store", "--top"},
    "replay": {"--data-dir", "--dataset", "--device", "--format", "--output", "--store"},
    "export": {"--output", "--store"},
    "compact": {"--format", "--output", "--store"},
    "delete": {"--store", "--yes"},
    "repair": {"--store", "--yes"},
    "query": {"--format", "--store"},
}  # fmt: skip
OPTIONS["submit"] = OPTIONS["run"] - {"--dry-run", "--inline"} | JOB_OPTIONS


WIDTH = 78 - 6 - max(map(len, cli.commands))
"""Characters that click leaves for the line of a verb in a terminal of 80 columns."""


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_list_of_verbs_shows_a_whole_sentence_for_each(verb: str) -> None:
    line = cli.commands[verb].get_short_help_str(WIDTH)
    assert line.endswith(".")
    assert not line.endswith("...")


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_no_option_shows_the_name_of_a_type_of_python(verb: str) -> None:
    shown = cli.commands[verb].get_help(click.Context(cli.commands[verb]))
    assert not {"TEXT", "INTEGER", "FLOAT"} & {*shown.split()}


def test_commands_have_exactly_these_options() -> None:
    found = {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        for name, command in cli.commands.items()
    }
    assert found == OPTIONS


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        ("run", RunOptions),
        ("submit", RunOptions),
        ("finalists", FinalistsOptions),
        ("latency", LatencyOptions),
    ],
)
def test_options_as_a_value_are_those_of_the_verb(verb: str, kind: type) -> None:
    command = cli.commands[verb]
    assert command.callback is not None
    own = {*inspect.signature(command.callback).parameters} - {"options", "context"}
    names = {field.name for field in fields(kind)}
    assert {parameter.name for parameter in command.params} - own == names - own


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pivot", "optimizer,"), "--pivot must be names with commas between them, such as A,B, got"),
        (("--pivot", "optimizer", "--top", "3"), "--pivot is a table of its own: leave --by and --top out"),
        (("--format", "word"), "'word' is not one of 'table', 'json', 'csv', 'markdown', 'latex'"),
    ],
)
def test_report_refuses_what_makes_no_table(words: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(cli, ["report", "digits-recipes", *words])
    assert result.exit_code == 2
    assert message in result.output
