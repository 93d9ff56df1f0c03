"""A change of code leaves a study the same and stands beside its results: files, modules, notebooks."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from session_testing import WORKER, Clock, MemoryLog, a_study, play_attempt, rising

from eml_models.training.recipe import Recipe
from tune_jobs import TrialStore
from tune_jobs.analysis.code_changes import code_of_trial, describe_code_changes, notes_of_change
from tune_jobs.inputs.user_code import load_study
from tune_jobs.report.documents import study_notes
from tune_jobs.session.attempt import SessionSettings, WorkerInfo
from tune_jobs.session.row_builder import RowLog
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.code_digest import code_digest
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd, SessionStarted
from tune_jobs.study.parameters import Float
from tune_jobs.study.rows import Failure, Row
from tune_jobs.study.space import Space

FIT = """
from eml_models import Recipe
from tune_jobs import Float, Space, Study

def fit(recipe, **options):
    return iter([{value}])

def mine():
    space = Space(Float("learning_rate", 0.1, 1))
    return Study(name="mine", space=space, recipe=Recipe(learning_rate=0.1, epochs=1), fit=fit)
"""


def run(study: Study, log: RowLog, rows: list[Row], code: str, *workers: str) -> None:
    """One session, an attempt for each digest of a worker."""
    settings = SessionSettings(started=SessionStarted(code=code))
    session = Session(study, log, rows, settings=settings, clock=Clock())
    for digest in workers:
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_begin(attempt.number, replace(WORKER, code=digest))
        play_attempt(session, attempt, rising)
    session.close(SessionEnd.FINISHED)


def runs(*codes: tuple[str, ...]) -> list[Row]:
    log = MemoryLog()
    for code, *workers in codes:
        run(a_study(trials=20, asha=None), log, list(log.rows), code, *workers)
    return log.rows


@pytest.mark.parametrize(
    ("codes", "lines"),
    [
        ([("a1b2c3d4", "a1b2c3d4"), ("a1b2c3d4", "a1b2c3d4")], []),
        (
            [("a1b2c3d4", *["a1b2c3d4"] * 3), ("c3d4e5f6", "c3d4e5f6"), ("a1b2c3d4", "a1b2c3d4")],
            [
                "code changed after trial 2: a1b2c3d4 -> c3d4e5f6",
                "code changed after trial 3: c3d4e5f6 -> a1b2c3d4",
            ],
        ),
        ([("a1b2c3d4",), ("c3d4e5f6",)], ["code changed before its first trial: a1b2c3d4 -> c3d4e5f6"]),
        (
            [("a1b2c3d4", "a1b2c3d4", "00000000", "00000000")],
            [
                "2 trials (1, 2) trained with other code than the run: 00000000 instead of a1b2c3d4;"
                " the nodes hold different versions"
            ],
        ),
    ],
)
def test_changes_are_read_from_the_events(codes: list[tuple[str, ...]], lines: list[str]) -> None:
    assert describe_code_changes(runs(*codes)) == lines


def test_a_run_notes_a_change_once_and_an_attempt_knows_its_code() -> None:
    rows = runs(("a1b2c3d4", "a1b2c3d4"), ("c3d4e5f6", "c3d4e5f6"))
    assert notes_of_change(rows, "c3d4e5f6") == []
    assert notes_of_change(rows, "00000000") == ["code changed after trial 1: c3d4e5f6 -> 00000000"]
    assert notes_of_change([], "00000000") == []
    assert [code_of_trial(rows, number) for number in (0, 1, 2)] == ["a1b2c3d4", "c3d4e5f6", None]


def file_study(folder: Path, value: int) -> Study:
    path = folder / "of_file.py"
    path.write_text(FIT.format(value=value))
    return load_study(f"{path}:mine")[0]


def module_study(folder: Path, value: int) -> Study:
    name = f"of_module_{value}"  # a process imports a module once, so each text has a name of its own
    (folder / f"{name}.py").write_text(FIT.format(value=value))
    return load_study(f"{name}:mine")[0]


def notebook_study(folder: Path, value: int) -> Study:
    space: dict[str, object] = {"__name__": "__main__"}
    cell = textwrap.dedent(f"def fit(recipe, **options):\n    return iter([{value}])\n")
    exec(compile(cell, "<cell>", "exec"), space)
    recipe = Recipe(learning_rate=0.1, epochs=1)
    return Study(name="mine", space=Space(Float("learning_rate", 0.1, 1)), recipe=recipe, fit=space["fit"])  # type: ignore[arg-type]  # it is that function


@pytest.mark.parametrize("build", [file_study, module_study, notebook_study])
def test_failed_study_continues_once_its_code_is_mended(
    build: Callable[[Path, int], Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    store = tmp_path / "trials"
    broken = build(tmp_path, 1)
    with StudyWriter.open(store, broken, versions={}) as writer:
        settings = SessionSettings(started=SessionStarted(code=code_digest(broken.fit)))
        session = Session(broken, writer, writer.rows, settings=settings)
        attempt = session.next_attempt()
        assert attempt is not None
        worker = WorkerInfo(code=code_digest(broken.fit))
        session.record_failure(attempt.number, Failure.RAISED, "ZeroDivisionError: a bug", worker=worker)
        session.close(SessionEnd.FAILED)

    mended = build(tmp_path, 2)
    was, now = code_digest(broken.fit), code_digest(mended.fit)
    change = f"code changed after trial 0: {was} -> {now}"
    with StudyWriter.open(store, mended, versions={}) as writer:  # it is the same study
        assert notes_of_change(writer.rows, now) == [change]
        run(mended.with_changes(trials=2), writer, list(writer.rows), now, now)
    assert study_notes(TrialStore(store).read("mine")) == [f"note: {change}"]
