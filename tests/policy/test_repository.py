"""Policies that hold for every file of the repository."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PACKAGES = ("eml_models", "tune_jobs", "benchmarks", "tests", "examples")
HOST_OR_PATH = re.compile(
    r"(?<![\w.])/(?:work|home|root|Users)/\w|pypi\.org/simple|https?://[^\s)]*(?:artifactory|nexus|pypi)"
)


def python_files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("#")[0].strip().split("==") for line in lines if "==" in line.split("#")[0])
    return {name.strip().lower().replace("_", "-"): Version(version) for name, version in pairs}


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [
        *project["dependencies"],
        *(t for group in project["optional-dependencies"].values() for t in group),
    ]
    return [Requirement(text) for text in texts]


def test_each_python_file_says_what_it_is_for() -> None:
    """A module opens with a docstring, unless it is an empty `__init__.py`."""
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if (path.name != "__init__.py" or path.read_text().strip())
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_constraints_pin_every_dependency_within_its_range(requirement: Requirement) -> None:
    pinned = constraints()
    assert requirement.name.lower() in pinned
    assert requirement.specifier.contains(pinned[requirement.name.lower()])


def test_repository_names_no_machine_and_no_registry() -> None:
    found = []
    for path in tracked_files():
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in HOST_OR_PATH.finditer(text)]
    assert not found


def test_only_what_says_why_names_the_folder_that_ray_lets_everybody_write() -> None:
    """KubeRay's pods have one user each; everything else writes where its user alone may go."""
    usual = re.compile("/tmp" + r"/ray(?!\w)")
    found = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if usual.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == ["kubernetes/rayjob.yaml"]
    text = (ROOT / found[0]).read_text()
    assert len(usual.findall(text)) == 1
    assert "with one user in it" in text


def test_escapes_carry_a_reason() -> None:
    bare = re.compile(r"#\s*(?:noqa|type: ignore)[^#\n-]*$|except Exception(?: as \w+)?:\s*$")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if bare.search(line)
    ]
    assert not found


def test_names_of_test_files_are_unique() -> None:
    """Pytest finds a test file by its name alone."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py")
    assert [name for name, other in itertools.pairwise(names) if name == other] == []
