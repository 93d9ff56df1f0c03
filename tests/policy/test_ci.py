"""CI runs each test once, and no test judges the machine by a number of seconds of its own."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARKERS = ("ray", "slow", "gpu")
CI = (ROOT / ".ci" / "run").read_text()
FIXED_LIMIT = re.compile(r"\btimeout=\d|mark\.timeout\(")


def selections(*targets: str) -> list[str]:
    """The markers' expression of each call of pytest that make would run."""
    # without what a make around the tests hands down
    words = ["env", "--unset=MAKEFLAGS", "--unset=MAKELEVEL", "make", "--dry-run", *targets]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [found[1] for line in said.splitlines() if (found := re.search(r'-m pytest -m "?([^"]+)"?', line))]


def test_ci_runs_each_test_that_needs_no_gpu_once() -> None:
    chosen = selections(*re.findall(r"^make ([a-z-]+)$", CI, re.M))
    assert len(chosen) == 1
    for values in itertools.product((False, True), repeat=len(MARKERS)):
        marked = dict(zip(MARKERS, values, strict=True))
        times = sum(bool(eval(expression, {}, marked)) for expression in chosen)
        assert times == (0 if marked["slow"] or marked["gpu"] else 1), marked


def test_ci_runs_the_readmes_command_and_the_checks() -> None:
    assert "\nmake lint\n" in CI
    assert "\nmake docs\n" in CI
    assert "\nmake test\n" in CI
    assert "\nmake test " in (ROOT / "README.md").read_text()
    assert selections("lint") == []


def test_coverage_is_that_of_the_tests_that_ci_runs() -> None:
    assert selections("coverage") == selections("test")


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (("chromium", "apt-get"), ""),
        (("apt-get",), "installed Chromium"),
        (("broken",), "the tests that open a page are skipped"),
        ((), "the tests that open a page are skipped"),
    ],
)
def test_ci_installs_a_browser_where_it_can_and_never_fails(
    tmp_path: Path, there: tuple[str, ...], says: str
) -> None:
    for name in ("bash", "timeout"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    called = tmp_path / "called"
    programs = {"id": "echo 0", **dict.fromkeys(there, "exit 0")}
    if "apt-get" in there:
        programs["apt-get"] = f'echo "$@" >> {called}'
    if "broken" in there:
        programs["apt-get"] = "exit 100"
    for name, does in programs.items():
        program = tmp_path / name
        program.write_text(f"#!{shutil.which('bash')}\n{does}\n")
        program.chmod(0o755)
    done = subprocess.run(
        [ROOT / ".ci" / "browser"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert says in done.stdout
    assert bool(done.stdout) is bool(says)
    assert called.exists() is ("installed" in says)
    assert "\n.ci/browser\n" in CI


def test_limits_of_time_are_those_of_patience() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line in path.read_text().splitlines()
        if FIXED_LIMIT.search(line) and "FIXED_LIMIT" not in line
    ]
    assert found == []


def test_files_that_share_the_ray_of_the_tests_say_so_by_the_marker() -> None:
    """The scheduler of conftest.py finds them by its words, and gives them to one worker."""
    files = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    sharing = [path for path, text in files.items() if "ray_of_the_tests" in text and path != Path(__file__)]
    assert sharing
    assert [path.name for path in sharing if "mark.ray" not in files[path]] == []
    assert "--dist loadfile" in (ROOT / "Makefile").read_text()
