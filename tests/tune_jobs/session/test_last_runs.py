"""What `list` asks a store: how the last run of each study ended."""

from __future__ import annotations

from pathlib import Path

from session_testing import a_study

from tune_jobs.report.leaderboard import LAST_RUNS_SQL, NO_END
from tune_jobs.session.state_machine import Session
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.events import SessionEnd


def test_a_run_without_an_end_is_told_as_such_beside_others_and_alone(tmp_path: Path) -> None:
    run(tmp_path, "killed", None)
    assert last_runs(tmp_path) == {"killed": NO_END}
    run(tmp_path, "ended", SessionEnd.INTERRUPTED)
    run(tmp_path, "again", SessionEnd.FINISHED)
    run(tmp_path, "again", None)
    assert last_runs(tmp_path) == {"killed": NO_END, "ended": "interrupted", "again": NO_END}


def run(store: Path, name: str, how: SessionEnd | None) -> None:
    """A run of no trials; None is one that was killed."""
    study = a_study(name=name)
    with StudyWriter.open(str(store), study, versions={}) as writer:
        session = Session(study, writer)
        if how is not None:
            session.close(how)


def last_runs(store: Path) -> dict[str, str]:
    found = TrialStore(store).sql(LAST_RUNS_SQL)
    return dict(zip(found["study"], found["how"], strict=True))
