"""Warnings are errors in the tests, but for those of pytest's plug-ins that happen to be installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUG_IN = """
import warnings

def pytest_sessionstart(session):
    warnings.warn("benchmarks are disabled beside xdist")

def pytest_runtest_setup(item):
    warnings.warn("and so said for each test")
"""


@pytest.mark.parametrize(("body", "code"), [("pass", 0), ("warnings.warn('ours')", 1)])
def test_warnings_of_plug_ins_are_shown_and_ours_are_errors(body: str, code: int, tmp_path: Path) -> None:
    plug_in = tmp_path / "pytest_played"
    plug_in.mkdir()
    (plug_in / "__init__.py").touch()
    (plug_in / "logger.py").write_text(PLUG_IN)  # as pytest-benchmark's is named
    (tmp_path / "test_one.py").write_text(f"import warnings\n\ndef test_one():\n    {body}\n")
    words = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "pytest_played.logger")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "-p", "no:cacheprovider", "test_one.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "and so said for each test" in done.stdout
