"""The reference of commands has every verb and every option, each with a place to link to."""

from __future__ import annotations

import re

import click
import pytest
from building.commands import commands_as_markdown

from tune_jobs.cli import cli

TEXT = commands_as_markdown()
PLACES = [*re.findall(r"\{#([a-z-]+)\}", TEXT), *re.findall(r"^### ([a-z]+)$", TEXT, re.M)]


def part_of(verb: str) -> str:
    """What stands under the heading of a verb."""
    return re.split(r"^##", TEXT.split(f"\n### {verb}\n")[1], maxsplit=1, flags=re.M)[0]


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_each_option_of_a_verb_is_described_or_linked_once(verb: str) -> None:
    part = part_of(verb)
    for option in (param for param in cli.commands[verb].params if isinstance(param, click.Option)):
        name = max(option.opts, key=len).removeprefix("--")
        described, linked = part.count(f"{{#{verb}-{name}}}"), part.count(f"](#run-{name})")
        assert described + linked == 1, name


def test_each_verb_is_in_the_table_once() -> None:
    assert sorted(re.findall(r"\| \[`([a-z]+)`\]\(#\1\) \|", TEXT)) == sorted(cli.commands)


def test_each_place_is_there_once_and_links_lead_to_places() -> None:
    assert len(PLACES) == len({*PLACES})
    assert set(re.findall(r"\]\(#([a-z-]+)\)", TEXT)) <= {*PLACES}


@pytest.mark.parametrize(
    "shown",
    [
        "(also `TUNE_JOBS_STORE`)",
        "Default: `10`. At least 1.",  # what click adds is a sentence
        "`arrays:FILE.npz` or `folder:DIR`",
        "`0.5*resnet18`",
        '```sh\ntune-jobs query "select number, objective from trials order by objective desc limit 5"\n```',
        "Shipped studies: `digits-recipes`, ",
    ],
)
def test_what_is_typed_is_shown_as_code(shown: str) -> None:
    assert shown in TEXT
