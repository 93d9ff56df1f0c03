"""The options of a verb with many options stand under headings."""

from __future__ import annotations

import re

import click
import pytest

from tune_jobs.cli import cli
from tune_jobs.cli.option_groups import GROUPS, OTHERS, GroupedCommand

GROUPED = [name for name, command in cli.commands.items() if isinstance(command, GroupedCommand)]


def help_of(verb: str) -> str:
    context = click.Context(cli.commands[verb], terminal_width=80, help_option_names=["-h", "--help"])
    return cli.commands[verb].get_help(context)


def test_verbs_with_many_options_are_grouped() -> None:
    many = {name for name, command in cli.commands.items() if len(command.params) > 12}
    assert many == {*GROUPED} == {"run", "submit", "finalists"}


@pytest.mark.parametrize("verb", GROUPED)
def test_each_option_stands_under_one_heading(verb: str) -> None:
    shown = help_of(verb)
    assert OTHERS not in shown
    options = {param.opts[0] for param in cli.commands[verb].params if isinstance(param, click.Option)}
    found = re.findall(r"^  (?:-h, )?(--[a-z-]+)", shown[shown.index(":\n  --") :], re.M)
    assert sorted(found) == sorted({*options, "--help"})


@pytest.mark.parametrize("verb", GROUPED)
def test_sentences_begin_in_one_column_and_fit(verb: str) -> None:
    lines = help_of(verb).splitlines()
    assert all(len(line) <= 80 for line in lines)
    starts = {
        match.end() for line in lines if (match := re.match(r"  --?[^ ]+(, --help)?( [^ ]+)?  +", line))
    }
    assert len(starts) == 1


def test_no_option_has_two_groups() -> None:
    names = [name for _, group in GROUPS for name in group]
    assert len(names) == len({*names})


def test_an_option_without_a_group_is_shown_all_the_same() -> None:
    command = GroupedCommand("x", params=[click.Option(["--new"], help="It is new.")])
    assert f"{OTHERS}:\n  --new" in command.get_help(click.Context(command))
