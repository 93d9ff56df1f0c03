"""The page of measurements has every benchmark and every file of results, and marks those of `make bench`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import ROOT, page

PAGE = page("measurements")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `python ")]
RESULTS = sorted(
    path
    for path in (ROOT / "benchmarks" / "results").rglob("*")
    if path.is_file() and not (path.suffix == ".txt" and path.parent.name == "cluster")
)
"""Files that the page links to; the logs of the cluster's parts are listed in their README."""

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").glob("*.py")
    if '__name__ == "__main__"' in path.read_text()
)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_results_are_on_the_page(path: Path) -> None:
    assert f"](../{path.relative_to(ROOT)})" in PAGE


@pytest.mark.parametrize("module", MODULES)
def test_benchmark_is_on_the_page(module: str) -> None:
    assert len([row for row in ROWS if re.match(rf"\| `python -m {module}[ `]", row)]) == 1


def test_marked_benchmarks_are_those_of_make_bench() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\nbench: ")[1].split("\n\n")[0]
    marked = {found[1] for row in ROWS if (found := re.match(r"\| `python -m ([\w.]+)[^`]*` \*", row))}
    assert marked == set(re.findall(r"-m (benchmarks\.\w+)", recipe))


def test_each_row_says_what_it_was_measured_on() -> None:
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in ROWS]
    assert all(len(row) == 5 for row in cells)
    assert all(question.endswith("?") and on and results for _, question, on, _, results in cells)
