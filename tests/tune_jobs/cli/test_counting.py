"""`list` and `delete` count the trials of a store without loading them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cli_testing import Cli
from session_testing import a_study, play

from tune_jobs.session.state_machine import Session
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading import study_snapshot
from tune_jobs.store.reading.snapshot import TableSnapshot
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import State


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Studies with published rows, with rows that a journal holds, and without any; none may be loaded."""
    store = str(tmp_path / "trials")
    for study in (a_study(), a_study(name="losses", objectives=(Objective(metric="train_loss"),))):
        with StudyWriter.open(store, study, versions={}) as writer:
            session = Session(study, writer)
            play(session)
            session.close("finished")
    with StudyWriter.open(store, a_study(name="empty"), versions={}):
        pass
    return tmp_path


@pytest.fixture
def nothing_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError(f"rows are loaded to be counted: {args}")

    monkeypatch.setattr(TableSnapshot, "read", refuse)
    monkeypatch.setattr(study_snapshot, "study_frame", refuse)


def by_loading(folder: Path) -> dict[str, dict[str, Any]]:
    """What `list` must say, computed from all trials."""
    store = TrialStore(folder / "trials")
    found = {}
    for name in store.studies()["study"]:
        trials = store.trials(name)
        completed = trials[trials["state"] == State.COMPLETED]["objective"].dropna()
        best = completed.min() if name == "losses" else completed.max()
        counts = {str(state): int((trials["state"] == state).sum()) for state in State}
        found[name] = {"best": best if len(completed) else None, **counts}
    return found


def test_list_says_what_all_trials_say(cli: Cli, folder: Path) -> None:
    code, out, err = cli("list", "--format", "json")
    assert code == 0, err
    rows = {row["study"]: row for row in json.loads(out)}
    assert [*rows] == ["empty", "losses", "played"]
    assert rows["played"]["completed"] > 0
    expected = by_loading(folder)
    assert {name: {key: row[key] for key in expected[name]} for name, row in rows.items()} == expected
    assert [row["last_run"] for row in rows.values()] == ["none yet", "finished", "finished"]


@pytest.mark.usefixtures("nothing_is_loaded")
def test_list_loads_no_trial(cli: Cli) -> None:
    code, out, err = cli("list")
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines() if line.startswith(" ") and "─" not in line] == [
        "study", "empty", "losses", "played",
    ]  # fmt: skip


@pytest.mark.usefixtures("nothing_is_loaded")
def test_delete_counts_without_loading_a_trial(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, _, err = cli("delete", "played")
    assert code == 130
    assert "with 16 trials from" in err
    assert TrialStore(folder / "trials").count_trials("empty") == 0
    assert cli("delete", "played", "--yes")[0] == 0
