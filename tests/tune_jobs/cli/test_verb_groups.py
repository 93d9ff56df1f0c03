"""The help of the program has each verb under one heading."""

from __future__ import annotations

import re

import click

from tune_jobs.cli import cli
from tune_jobs.cli.verb_groups import GroupedVerbs


def test_each_verb_stands_under_one_heading() -> None:
    under = [verb.name for verbs in cli.headings.values() for verb in verbs]
    assert sorted(map(str, under)) == sorted(cli.commands)


def test_help_shows_headings_and_each_sentence_whole_in_one_column() -> None:
    shown = cli.get_help(click.Context(cli, info_name="tune-jobs", terminal_width=80))
    lines = shown[shown.index("\nSearch:") :].splitlines()
    assert [line for line in lines if line.endswith(":")] == [f"{heading}:" for heading in cli.headings]
    sentences = [line for line in lines if line.startswith("  ")]
    assert len(sentences) == len(cli.commands)
    assert all(line.endswith(".") and not line.endswith("...") for line in sentences)
    assert len({re.match(r"  [a-z]+ +", line).end() for line in sentences}) == 1  # type: ignore[union-attr]


def test_verbs_of_a_heading_may_come_from_two_places() -> None:
    group = GroupedVerbs("program")
    group.add_verbs("Work", [click.Command("one", help="Do it.")])
    group.add_verbs("Work", [click.Command("two", help="Do it again.")])
    assert "Work:\n  one  Do it.\n  two  Do it again.\n" in group.get_help(click.Context(group)) + "\n"
