"""The files by which others join: what they name exists, and each is in the form that its reader takes."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))
FOR_OTHERS = (
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "SECURITY.md",
    ".pre-commit-config.yaml",
    ".github/pull_request_template.md",
    *(str(path.relative_to(ROOT)) for path in TEMPLATES),
)
TARGET = re.compile(r"`make ([a-z-]+)`")
ADDRESS = re.compile(r"https?://|[\w.+-]+@[\w-]+\.\w+")


def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def commands_of(target: str) -> list[str]:
    """What make would run for a target in an environment that is ready, without the environment's folder."""
    words = [
        "env",
        "--unset=MAKEFLAGS",
        "--unset=MAKELEVEL",
        "make",
        "--dry-run",
        "--old-file=.venv/.ready",
        target,
    ]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if line.startswith(".venv/bin/")]


@pytest.mark.parametrize("name", FOR_OTHERS)
def test_file_names_targets_that_exist_and_no_address_that_nobody_reads(name: str) -> None:
    text = (ROOT / name).read_text()
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in TARGET.findall(text) if not re.search(rf"^{target}:", makefile, re.M)] == []
    assert ADDRESS.findall(text) == []


def test_readme_leads_to_the_files_for_others() -> None:
    readme = (ROOT / "README.md").read_text()
    names = ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md")
    assert [name for name in names if f"]({name})" not in readme] == []


def test_hooks_before_a_commit_are_those_of_make_lint() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"  # others would be fetched
    hooks = repository["hooks"]
    assert [hook["entry"] for hook in hooks] == commands_of("lint")
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in hooks)
    assert all(
        re.search(hook["files"], name)
        for hook in hooks
        for name in ("tune_jobs/__init__.pyi", "pyproject.toml")
    )


def test_citation_is_of_this_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # the format asks for these
    assert citation["title"].startswith(f"{project()['name']}: ")
    assert citation["license"] == project()["license"]
    assert "version" not in citation  # pyproject.toml alone states it


def test_changelog_has_a_part_for_each_release_and_one_for_what_comes() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d{2}-\d{2}\)", heading) for heading in headings[1:])


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_issue_template_has_a_name_and_says_what_it_is_for(path: Path) -> None:
    _, head, body = path.read_text().split("---\n", 2)
    assert {"name", "about"} <= yaml.safe_load(head).keys()
    assert body.count("\n## ") >= 3


def test_bug_report_asks_for_a_version_that_the_command_line_shows() -> None:
    from tune_jobs.cli import cli

    assert "`python -m tune_jobs --version`" in (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.md").read_text()
    assert "--version" in {option for parameter in cli.params for option in parameter.opts}
