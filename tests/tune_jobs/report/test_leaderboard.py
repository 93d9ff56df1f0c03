"""The tables of `show` and `list`: the order of trials, states, rungs, studies."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from session_testing import a_study

from tune_jobs.report.leaderboard import (
    LAST_RUNS_SQL,
    NO_END,
    leaderboard,
    rungs,
    states,
    studies,
    studies_for_people,
)
from tune_jobs.report.render import render
from tune_jobs.session.state_machine import Session
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.objective import Direction, Objective
from tune_jobs.study.rows import State

NO_STARTS = pd.DataFrame({"number": [], "recipe": []})


def frame(*rows: tuple[int, str, float | None]) -> pd.DataFrame:
    same = {"epochs": 3, "train_s": 1.0, "macs": 5, "params": "{}"}
    records = [
        {"number": n, "state": s, "objective": o, "seq": n, "reason": f"because {n}", **same}
        for n, s, o in rows
    ]
    return pd.DataFrame(records)


def test_leaderboard_ranks_completed_trials_and_keeps_the_earlier_of_equals() -> None:
    trials = frame((0, "completed", 0.5), (1, "stopped", 0.9), (2, "completed", 0.7), (3, "completed", 0.7))
    table = leaderboard(trials, NO_STARTS, objective=Objective("val_accuracy"))
    assert [row[0] for row in table.rows] == [2, 3, 0]
    assert "macs" not in table.columns
    losses = leaderboard(trials, NO_STARTS, objective=Objective("val_loss"), top=1)
    assert [row[0] for row in losses.rows] == [0]


def test_an_own_objective_called_as_a_column_gets_a_prefix_and_metrics_stand_last() -> None:
    trials = frame((0, "completed", 0.5), (1, "completed", 0.7)).assign(metrics=['{"a":1}', '{"a":2}'])
    table = leaderboard(trials, NO_STARTS, objective=Objective("epochs", Direction.MAXIMIZE, own=True))
    assert table.columns == ("trial", "metric_epochs", "epochs", "train_s", "params", "network", "metrics")
    assert [row[-1] for row in table.rows] == ['{"a":2}', '{"a":1}']


def test_leaderboard_shows_stopped_trials_where_none_completed() -> None:
    table = leaderboard(
        frame((0, "stopped", 0.5), (1, "failed", None)), NO_STARTS, objective=Objective("val_accuracy")
    )
    assert [row[0] for row in table.rows] == [0]
    assert "stopped" in table.title


def test_states_count_every_end_and_quote_the_last_reason() -> None:
    ended = frame((0, "completed", 0.5), (1, "failed", None), (2, "failed", None))
    table = states(ended, reports_of((0, 1, 1.0), (0, 2, 2.0), (1, 1, 4.0)))
    assert [(row[0], row[1], row[3], row[-1]) for row in table.rows] == [
        ("completed", 1, 3.0, "because 0"),
        ("failed", 2, 4.0, "because 2"),
    ]


def test_seconds_by_state_count_the_first_training_of_an_epoch_as_the_ledger_does() -> None:
    again = reports_of((0, 1, 1.0), (0, 2, 2.0), (0, 2, 32.0), (0, 3, 4.0))
    assert states(frame((0, "completed", 0.5)), again).rows[0][3] == 7.0


def reports_of(*rows: tuple[int, int, float]) -> pd.DataFrame:
    """(number, epoch, epoch_s) in order of seq"""
    reports = pd.DataFrame(rows, columns=["number", "epoch", "epoch_s"])
    return reports.assign(seq=range(len(reports)))


def test_rungs_show_which_trials_continued() -> None:
    reports = pd.DataFrame(
        {
            "seq": [1, 2, 3, 4, 5],
            "number": [0, 1, 2, 1, 1],
            "epoch": [1, 1, 1, 2, 1],
            "decision": ["stop", "continue", "stop", None, "continue"],
            "val_accuracy": [0.1, 0.9, 0.2, 0.9, 0.95],
        }
    )
    (row,) = rungs(reports, [1], objective=Objective("val_accuracy")).rows
    assert row == (1, 3, 2, "0.1000 .. 0.2000", "0.9000 .. 0.9000")


def test_rungs_go_by_their_own_epochs_where_trials_report_past_them() -> None:
    """Reports of every second epoch; after an interruption trial 1 reports the first epoch too."""
    reports = pd.DataFrame(
        {
            "seq": [1, 2, 3, 4, 5],
            "number": [0, 1, 2, 1, 1],
            "epoch": [2, 2, 2, 4, 1],
            "decision": ["stop", "continue", "continue", "continue", "continue"],
            "val_accuracy": [0.1, 0.9, 0.8, 0.95, 0.7],
        }
    )
    first, second = rungs(reports, [1, 3], objective=Objective("val_accuracy")).rows
    assert first == (1, 3, 1, "0.1000 .. 0.1000", "0.8000 .. 0.9000")
    assert second == (3, 1, 0, None, "0.9500 .. 0.9500")


def test_ranges_at_the_rungs_have_one_format() -> None:
    losses = {"seq": [1, 2], "number": [0, 1], "epoch": [1, 1], "decision": ["stop", "continue"]}
    (row,) = rungs(
        pd.DataFrame({**losses, "val_loss": [1234.5, 0.5]}), [1], objective=Objective("val_loss")
    ).rows
    assert row[3:] == ("1,234.5 .. 1,234.5", "0.5 .. 0.5")


ENDS = [(0, "stopped", None), (1, "failed", None), (2, "failed", None), (3, "infeasible", None)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [],
            "No trial has ended yet. Wait if the study runs, else run the same command again.",
        ),
        (ENDS[1:3], "No trial has completed. 2 trials failed. `show STUDY TRIAL` has the traceback"),
        (ENDS[3:], "No trial has completed. 1 trial refused before training. Move the limits"),
        (ENDS, "1 trial stopped at a rung. Train more with --trials"),
    ],
)
def test_an_empty_leaderboard_says_why_and_what_to_do(
    rows: list[tuple[int, str, float | None]], message: str
) -> None:
    trials = frame(*rows) if rows else frame((0, "failed", None)).iloc[:0]
    table = leaderboard(trials, NO_STARTS, objective=Objective("val_accuracy"))
    text = " ".join(render(table, "table").split())
    assert message in text
    assert "trial val_accuracy epochs" in text
    assert json.loads(render(table, "json")) == []


def test_list_for_people_has_no_empty_states_and_keeps_names_whole() -> None:
    kinds = {"study": "a-study-of-many-words", "created_at": datetime(2026, 1, 2, 3, 4, 5)}
    definition = json.dumps({"objectives": [{"metric": "val_accuracy", "direction": "maximize"}]})
    name = "a-study-of-many-words"
    none_ended = dict.fromkeys(map(str, State), 0)
    counts = {**none_ended, "completed": 1, "least": 0.4, "most": 0.5}
    stored = pd.DataFrame([{**kinds, "definition": definition, **counts, "how": "finished"}])
    found = studies(stored, {})
    assert "failed" in found.columns
    shown = studies_for_people(found)
    assert shown.columns == ("study", "objective", "best", "completed", "created_at")
    assert shown.rows == ((name, "val_accuracy", 0.5, 1, "2026-01-02"),)
    none = studies(pd.DataFrame({"study": []}), {})
    assert "The store holds no study yet" in render(none, "table")
    killed = studies_for_people(studies(stored.assign(how=NO_END), {}))
    assert killed.columns[-2:] == ("last_run", "created_at")
    assert killed.rows[0][-2] == "killed"


def test_a_run_without_an_end_is_shown_as_such_beside_others_and_alone(tmp_path: Path) -> None:
    run_no_trial(tmp_path, "killed", None)
    assert last_runs(tmp_path) == {"killed": NO_END}
    run_no_trial(tmp_path, "ended", SessionEnd.INTERRUPTED)
    run_no_trial(tmp_path, "again", SessionEnd.FINISHED)
    run_no_trial(tmp_path, "again", None)
    assert last_runs(tmp_path) == {"killed": NO_END, "ended": "interrupted", "again": NO_END}


def run_no_trial(store: Path, name: str, how: SessionEnd | None) -> None:
    """A run of no trials; None is one that was killed."""
    study = a_study(name=name)
    with StudyWriter.open(str(store), study, versions={}) as writer:
        session = Session(study, writer)
        if how is not None:
            session.close(how)


def last_runs(store: Path) -> dict[str, str]:
    found = TrialStore(store).sql(LAST_RUNS_SQL)
    return dict(zip(found["study"], found["how"], strict=True))
