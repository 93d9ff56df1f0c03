"""The command line as the tests of its verbs call it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_testing import Cli

from tune_jobs.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command line is called; a module may have its own."""
    return tmp_path


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Cli:
    """Run the command line in `folder`: its exit code, stdout and stderr."""
    monkeypatch.chdir(folder)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tune-jobs", *words])
        code = main()
        return code, *capsys.readouterr()

    return call
