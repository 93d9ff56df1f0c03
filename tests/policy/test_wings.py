"""Each wing says in its first lines where its doors are, and each door is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WINGS = sorted(
    path
    for package in ("eml_models", "tune_jobs")
    for path in (ROOT / package).rglob("__init__.py")
    if path.parent.parent != ROOT
)


def first_words(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


@pytest.mark.parametrize("path", WINGS, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_wing_says_what_it_is_and_its_doors_exist(path: Path) -> None:
    words = first_words(path)
    assert words.count(".") >= 2
    doors = re.findall(r"`([\w/]+)` \(", words.partition("Doors:")[2])
    there = {file.stem for file in path.parent.iterdir()}
    missing = [door for door in doors if not {door, door.split("/")[0]} & there]
    assert not missing


def test_most_wings_name_doors() -> None:
    silent = [path for path in WINGS if "Doors" not in first_words(path)]
    assert [path.parent.name for path in silent] == ["cli"]  # the command line is entered by `main` alone


def test_rooms_at_the_top_are_few() -> None:
    top = [path.name for path in (ROOT / "tune_jobs").iterdir() if not path.name.startswith(("_", "py."))]
    assert len(top) <= 15


@pytest.mark.parametrize("package", ["eml_models", "tune_jobs"])
def test_no_path_stutters(package: str) -> None:
    stuttering = [p for p in (ROOT / package).rglob("*.py") if p.stem == p.parent.name]
    assert stuttering == []
