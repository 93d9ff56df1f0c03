"""A run that lives, one that was killed and one that ended are told apart by rows and lock together."""

from __future__ import annotations

from pathlib import Path

import pytest
from session_testing import a_study

from tune_jobs.report.last_runs import (
    KILLED,
    NO_END,
    NO_RUN,
    RUNNING,
    last_end,
    last_run,
    notes_of_runs,
    wanted_trials,
)
from tune_jobs.session.attempt import SessionSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.store.files.holders import RUN, UPKEEP, Hold
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.events import SessionEnd, SessionStarted

WHO = {"host": "node-3", "pid": 7, "since": "2026-01-02T03:04:05+00:00"}


def hold(doing: str, lives: bool | None) -> Hold:
    return Hold(holder={**WHO, "doing": doing}, lives=lives)


@pytest.mark.parametrize(
    ("end", "held", "word"),
    [
        (NO_END, hold(RUN, True), RUNNING),
        (NO_RUN, hold(RUN, True), RUNNING),
        ("finished", hold(RUN, True), RUNNING),
        (NO_END, None, KILLED),
        (NO_END, hold(RUN, False), KILLED),
        (NO_END, hold(UPKEEP, True), KILLED),
        (NO_END, hold(UPKEEP, None), KILLED),
        (NO_END, hold(RUN, None), NO_END),
        (NO_RUN, None, NO_RUN),
        ("interrupted", None, "interrupted"),
        ("finished", hold(RUN, False), "finished"),
        ("finished", hold(UPKEEP, True), "finished"),
        ("failed", hold(RUN, None), "failed"),
    ],
)
def test_rows_and_lock_give_one_word(end: str, held: Hold | None, word: str) -> None:
    assert last_run(end, held) == word


def test_notes_name_the_living_and_those_that_the_same_command_continues() -> None:
    ends = {"a": NO_END, "b": NO_END, "c": "finished", "d": NO_END, "e": NO_END}
    holds = {"a": hold(RUN, True), "b": None, "d": hold(RUN, None), "e": hold(RUN, False)}
    running, unknown, killed = notes_of_runs(ends, holds)
    assert running == "a is running: process 7 on node-3 since 2026-01-02T03:04:05+00:00"
    assert unknown.startswith("the last run of d has no end. process 7 on node-3")
    assert "this machine cannot tell" in unknown
    assert killed == "the last runs of b and e were killed; the same commands continue them"
    assert notes_of_runs({"b": NO_END}, {}) == ["the last run of b was killed; the same command continues it"]
    assert notes_of_runs({"c": "finished"}, {}) == []


def test_the_rows_say_how_many_trials_are_wanted(tmp_path: Path) -> None:
    for wanted in (None, 60, 14):
        with StudyWriter.open(tmp_path, a_study(), versions={}) as writer:
            Session(a_study(), writer, writer.rows, settings=begun_for(wanted)).next_attempt()
            assert wanted_trials(writer.rows) == wanted


def begun_for(trials: int | None) -> SessionSettings:
    return SessionSettings(started=SessionStarted(trials=trials))


def test_the_rows_say_how_the_last_session_ended(tmp_path: Path) -> None:
    ends = []
    for how in (None, SessionEnd.INTERRUPTED, None, SessionEnd.FINISHED):
        with StudyWriter.open(tmp_path, a_study(), versions={}) as writer:
            ends.append(last_end(writer.rows))
            session = Session(a_study(), writer, writer.rows)
            if how is not None:
                session.close(how)
    assert [*ends, last_end(TrialStore(tmp_path).rows("played"))] == [
        NO_RUN, NO_END, "interrupted", NO_END, "finished",
    ]  # fmt: skip
