"""The README's links lead somewhere and its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tune_jobs.cli import cli
from tune_jobs.studies import SHIPPED

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
LINKS = re.findall(r"\]\(([^)\s]+)\)", README)
SHELL_LINES = [
    line.split(" # ")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
COMMANDS = [line for line in SHELL_LINES if "-m tune_jobs " in line]
TARGETS = sorted(
    {*re.findall(r"^make ([a-z-]+)", "\n".join(SHELL_LINES), re.M), *re.findall(r"`make ([a-z-]+)`", README)}
)


def anchor_of(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("link", LINKS)
def test_link_leads_somewhere(link: str) -> None:
    if link.startswith("#"):
        assert link[1:] in {anchor_of(heading) for heading in re.findall(r"^#+ (.+)$", README, re.M)}
    elif not link.startswith("http"):
        assert (ROOT / link).exists()


@pytest.mark.parametrize("line", COMMANDS)
def test_command_parses(line: str) -> None:
    words = shlex.split(line.split("-m tune_jobs ", 1)[1])
    command = cli.commands[words[0]]
    command.make_context(words[0], words[1:], parent=click.Context(cli))  # raises on an unknown option


@pytest.mark.parametrize("target", TARGETS)
def test_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


def test_nothing_is_left_to_fill_in() -> None:
    assert re.findall(r"^[A-Z_]+$", README, re.M) == []


def test_every_shipped_study_is_told_of() -> None:
    assert [name for name in SHIPPED if f"`{name}`" not in README] == []


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 5
    assert TARGETS
