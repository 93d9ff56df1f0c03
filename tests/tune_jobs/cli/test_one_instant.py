"""A page is of one instant: what a run writes while the page is made is on all of it or on none of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_testing import Cli
from session_testing import a_study, play

from tune_jobs.session.state_machine import Session
from tune_jobs.store.files.local import LocalFiles
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import TrialRow

STUDY = a_study(trials=3)
MAX_LOOKS = 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a study of three trials, to which `append_trial` adds one."""
    with StudyWriter.open(str(tmp_path / "trials"), STUDY, versions={}) as writer:
        play(Session(STUDY, writer))
    return tmp_path


def append_trial(folder: Path) -> None:
    """Train one trial more, as a run does in another process."""
    with StudyWriter.open(str(folder / "trials"), STUDY, versions={}) as writer:
        trained = sum(isinstance(row, TrialRow) for row in writer.rows)
        session = Session(STUDY.with_changes(trials=trained + 1), writer, writer.rows)
        play(session)
        session.close("finished")


def write_at_look(monkeypatch: pytest.MonkeyPatch, at: int, write: Callable[[], None]) -> list[int]:
    """Call `write` when files are looked at for the `at`-th time; the list counts what is left until then."""
    left = [at]
    list_names: Any = LocalFiles.list_names

    def look(self: LocalFiles, folder: str) -> Any:
        left[0] -= 1
        if left[0] == 0:
            write()
        return list_names(self, folder)

    monkeypatch.setattr(LocalFiles, "list_names", look)
    return left


def trials_of(page: str) -> dict[str, int]:
    """How many trials each table of a page tells of."""
    ended = page.partition("how trials ended")[2].partition("decisions at the rungs")[0]
    states = re.findall(r"^ *(?:completed|stopped) +(\d+) ", ended, re.M)
    rungs = re.findall(r"^ *1 +(\d+) ", page.partition("decisions at the rungs")[2], re.M)
    assert len(rungs) == 1, page
    return {"ended": sum(map(int, states)), "at the first rung": int(rungs[0])}


def test_show_is_of_one_instant_whenever_a_run_writes(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_written = 0
    for at in range(1, MAX_LOOKS):
        with monkeypatch.context() as patch:
            left = write_at_look(patch, at, lambda: append_trial(folder))
            code, page, err = cli("show", STUDY.name)
        assert code == 0, err
        shown = trials_of(page)
        assert len(set(shown.values())) == 1, f"at look {at}: {shown}\n{page}"
        if left[0] > 0:
            break
        num_written += 1
    assert num_written > 1  # the writer did write while pages were made
