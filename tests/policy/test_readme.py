"""The links of every Markdown file lead somewhere, and the README's commands exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from tune_jobs.cli import cli
from tune_jobs.inputs.shipped import SHIPPED

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
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


def markdown_files() -> list[str]:
    words = ["git", "ls-files", "-z", "*.md"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def links() -> list[tuple[str, str]]:
    """Every link to a file or a heading, with the file that has it."""
    texts = {name: (ROOT / name).read_text() for name in markdown_files()}
    found = [(name, link) for name, text in texts.items() for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    return [(name, link) for name, link in found if not link.startswith("http")]


def anchors(path: Path) -> set[str]:
    return {anchor_of(heading) for heading in re.findall(r"^#+ (.+)$", path.read_text(), re.M)}


def anchor_of(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(("name", "link"), links())
def test_link_leads_somewhere(name: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (ROOT / name).parent / path if path else ROOT / name
    assert target.exists()
    assert not anchor or anchor in anchors(target)


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


def test_every_shipped_study_is_in_the_readme() -> None:
    assert [name for name in SHIPPED if f"`{name}`" not in README] == []


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 5
    assert len(links()) >= 10
    assert TARGETS
