"""What a study's limits leave is checked once by a command, and its notes are printed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_testing import Cli
from session_testing import play

from tune_jobs.feasible import reach
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.method import Limits

NOTE = "note: max_macs 1,000,000,000 excludes no network"
STUDY = "digits-recipes"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a complete study, so that its run ends without Ray."""
    study = digits_recipes().with_changes(trials=2, limits=Limits(max_macs=10**9))
    with StudyWriter.open(str(tmp_path / "trials"), study, versions={}) as writer:
        play(Session(study, writer))
    return tmp_path


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The studies that were checked, one entry for each time."""
    found: list[str] = []
    check: Any = reach._check_choices

    def count(study: Any) -> None:
        found.append(study.name)
        check(study)

    monkeypatch.setattr(reach, "_check_choices", count)
    return found


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_limits_are_checked_once(cli: Cli, checks: list[str], more: list[str]) -> None:
    code, _, err = cli("run", STUDY, "--trials", "2", "--max-macs", "1G", *more)
    assert code == 0, err
    assert checks == [STUDY]
    assert err.count(NOTE) == 1


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_limits_that_leave_nothing_are_refused(cli: Cli, checks: list[str], more: list[str]) -> None:
    code, _, err = cli("run", STUDY, "--name", "none", "--max-macs", "1", *more)
    assert code == 2
    assert "no network of study 'none' is within its limits" in err
    assert len(checks) == 1
