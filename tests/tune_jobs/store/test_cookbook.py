"""Every query of the SQL cookbook is answered over a store that holds every kind of row."""

from __future__ import annotations

import re

import pytest
from documents import ROOT, all_text, blocks
from session_testing import WORKER, MemoryLog, a_study, play

from tune_jobs import TrialStore
from tune_jobs.inputs.point_files import read_points
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import Failure

BLOCKS = blocks("sql", all_text())
QUERIES = [query.strip() for block in BLOCKS for query in re.split(r"\n\n", block)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrialStore:
    folder = tmp_path_factory.mktemp("cookbook")
    study = a_study(name="digits-recipes")
    with StudyWriter.open(folder, study, versions={}) as writer:
        session = Session(study, writer)
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_failure(attempt.number, Failure.RAISED, "ValueError: no", worker=WORKER)
        play(session)
    return TrialStore(folder)


@pytest.mark.parametrize("query", QUERIES)
def test_query_finds_rows(store: TrialStore, query: str) -> None:
    assert query.startswith("-- ")
    assert len(store.sql(query))


def test_there_are_queries() -> None:
    assert len(QUERIES) >= 7


def test_example_points_are_of_the_main_job() -> None:
    points = read_points(str(ROOT / "examples" / "points.json"), digits_recipes().space)
    study = digits_recipes()
    log = MemoryLog()
    from tune_jobs.session.attempt import SessionSettings

    session = Session(study, log, settings=SessionSettings(points=points))
    first, second = session.next_attempt(), session.next_attempt()
    assert first is not None
    assert second is not None
    assert (first.recipe.optimizer, first.recipe.schedule) == ("adam", "cosine")
    assert (second.recipe.optimizer, second.recipe.learning_rate) == ("sgd_momentum", 0.1)
