"""`pyproject.toml` alone states the version, and `tune_jobs.__version__` reads it from what is installed."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

import tune_jobs

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run_python(*words: str, alone: bool = False) -> str:
    """What Python prints in the repository; `alone` leaves out every installed distribution."""
    hidden = (
        "import importlib.metadata as m, runpy, sys\n"
        "def version(name): raise m.PackageNotFoundError(name)\n"
        "m.version = version\n"
    )
    code = f"{hidden if alone else 'import runpy, sys'}\nsys.argv[1:] = {list(words)}\n"
    code += "runpy.run_module('tune_jobs', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_version_is_that_of_the_project() -> None:
    assert tune_jobs.__version__ == PROJECT["version"]
    assert "__version__" in dir(tune_jobs)


def test_version_can_be_a_tag() -> None:
    """A tag is `v` and the version in the spelling that installers use."""
    assert str(Version(PROJECT["version"])) == PROJECT["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", PROJECT["version"])


def test_code_that_is_not_installed_has_the_version_of_no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert tune_jobs.__version__ == tune_jobs.NOT_INSTALLED
    assert Version(tune_jobs.NOT_INSTALLED) < Version("0.0.1")


def test_command_line_shows_the_version_installed_or_not() -> None:
    assert run_python("--version") == f"tune-jobs {PROJECT['version']}\n"
    assert run_python("--version", alone=True) == f"tune-jobs {tune_jobs.NOT_INSTALLED}\n"


def test_no_code_states_the_version() -> None:
    stated = re.compile(rf"__version__\s*=|[\"']{re.escape(PROJECT['version'])}[\"']")
    found = [
        str(path.relative_to(ROOT))
        for package in ("eml_models", "tune_jobs", "benchmarks", "examples")
        for path in (ROOT / package).rglob("*.py")
        if stated.search(path.read_text())
    ]
    assert found == []
