"""CONTRIBUTING.md names every wing and room of the packages, and no path that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|txt|yaml))`")
PATHS = sorted(set(PATH.findall(TEXT)))
IN_EVERY_WING = "__init__.py"
FOLDERS = sorted(
    f"{path.parent.relative_to(ROOT)}/"
    for package in ("eml_models", "tune_jobs")
    for path in (ROOT / package).rglob("*/__init__.py")
)


@pytest.mark.parametrize("path", PATHS)
def test_path_exists(path: str) -> None:
    if path != IN_EVERY_WING:
        assert (ROOT / path).exists()


@pytest.mark.parametrize("folder", FOLDERS)
def test_wing_or_room_is_named(folder: str) -> None:
    assert f"`{folder}`" in TEXT


def test_ten_changes_are_named_by_file() -> None:
    (table,) = re.findall(r"## Ten likely changes\n\n(.*?)\n\n", TEXT, re.DOTALL)
    rows = table.splitlines()[2:]
    assert len(rows) == 10
    assert all(PATH.search(row) for row in rows)
