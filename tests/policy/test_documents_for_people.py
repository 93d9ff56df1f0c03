"""README and pages: links lead somewhere, commands parse, code compiles, each page is listed once."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from building.commands import commands_as_markdown
from documents import DOCUMENTS, PAGES, README, ROOT, all_text, blocks, shell_lines

from tune_jobs.cli import cli
from tune_jobs.inputs.shipped import SHIPPED

README_LINES = 150
"""A newcomer reads this many lines, not a thousand."""
ALL_LINES = [(path.name, line) for path in DOCUMENTS for line in shell_lines(path.read_text())]
COMMANDS = [(name, line) for name, line in ALL_LINES if "-m tune_jobs " in line]
TARGETS = sorted(
    {
        *re.findall(r"^make ([a-z-]+)", "\n".join(line for _, line in ALL_LINES), re.M),
        *re.findall(r"`make ([a-z-]+)`", all_text()),
    }
)


def markdown_files() -> list[str]:
    words = ["git", "ls-files", "-z", "*.md"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def links_of(name: str) -> list[str]:
    """Every link of a file to a file or a heading."""
    text = re.sub(r"^ *```.*?^ *```$", "", (ROOT / name).read_text(), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not link.startswith("http")]


def anchors(path: Path) -> set[str]:
    """Places of a page to link to; of the page of commands those that are made too."""
    text = path.read_text()
    if path == ROOT / "docs" / "cli.md":
        text += commands_as_markdown()
    made = re.findall(r"\{#([\w-]+)\}", text)
    return {anchor_of(heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)} | {*made}


def anchor_of(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", markdown_files())
def test_links_lead_somewhere(name: str) -> None:
    for link in links_of(name):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_command_parses(name: str, line: str) -> None:
    words = shlex.split(line.split("-m tune_jobs ", 1)[1])
    command = cli.commands[words[0]]
    command.make_context(words[0], words[1:], parent=click.Context(cli))  # raises on an unknown option


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_of_python_compile(path: Path) -> None:
    for block in blocks("python", path.read_text()):
        ast.parse(block)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_public_names_that_blocks_import_exist(path: Path) -> None:
    for block in blocks("python", path.read_text()):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {
                "tune_jobs",
                "eml_models",
            }:
                module = __import__(node.module or "", fromlist=["x"])
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@pytest.mark.parametrize("target", TARGETS)
def test_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_is_left_to_fill_in(path: Path) -> None:
    assert re.findall(r"^[A-Z_]+$", path.read_text(), re.M) == []


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= README_LINES


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_page_begins_with_a_title_and_a_sentence_for_its_reader(path: Path) -> None:
    title, empty, first = path.read_text().splitlines()[:3]
    assert title.startswith("# ")
    assert empty == ""
    assert re.match(r"[A-Z`*]", first)


def test_each_page_is_in_the_list_of_pages_once() -> None:
    listed = re.findall(r"^([a-z-]+)$", (ROOT / "docs" / "index.md").read_text(), re.M)
    assert sorted(listed) == sorted(path.stem for path in PAGES if path.stem != "index")


def test_every_shipped_study_is_documented() -> None:
    text = (ROOT / "docs" / "studies.md").read_text()
    assert [name for name in SHIPPED if f"`{name}`" not in text] == []


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) >= 40
    assert sum(len(links_of(name)) for name in markdown_files()) >= 60
    assert TARGETS
