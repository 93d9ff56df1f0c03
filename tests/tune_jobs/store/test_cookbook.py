"""Every query of README and pages finds rows in a store that holds every kind of row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT, all_text, blocks
from session_testing import WORKER, MemoryLog, a_study, play
from store_testing import LATENCY

from eml_models import Recipe
from tune_jobs import Float, Limits, Maximize, Space, Study, TrialStore
from tune_jobs.inputs.point_files import read_points
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.session.state_machine import Session
from tune_jobs.store.latencies import append_latencies
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import Failure
from tune_jobs.testing import in_process

BLOCKS = blocks("sql", all_text())
QUERIES = [query.strip() for block in BLOCKS for query in re.split(r"\n\n", block)]


def train(params: dict[str, Any], run: Any) -> Iterator[dict[str, float]]:
    for epoch in range(1, run.epochs + 1):
        yield {"accuracy": params["lr"] * epoch / 9, "loss": 1 / epoch}


def my_loop() -> Study:
    """Own training, with metrics of its own."""
    space = Space(Float("lr", 1e-3, 1.0, log=True))
    return Study(
        name="my-loop", space=space, train=train, epochs=3, trials=3, objectives=Maximize("accuracy")
    )


def widths() -> Study:
    """Networks of which the limit refuses some."""
    space = Space(Float("learning_rate", 1e-4, 1.0, log=True), Float("width_mult", 0.1, 1.0))
    recipe = Recipe(model="mobilenet", dataset="digits", learning_rate=0.1, epochs=3)
    limits = Limits(max_macs=2_000_000)
    return Study(name="digits-mobilenet", space=space, recipe=recipe, trials=4, limits=limits)


def search(folder: Path, study: Study) -> None:
    with StudyWriter.open(folder, study, versions={}) as writer:
        session = Session(study, writer)
        if study.train is not None:
            in_process.play(session, in_process.own_reports(study), worker=WORKER)
        else:
            play(session)


def search_with_failures(folder: Path, study: Study) -> None:
    """A trial raised, another lost its worker once, and the last one was left unfinished."""
    with StudyWriter.open(folder, study, versions={}) as writer:
        session = Session(study, writer)
        for failure in (Failure.RAISED, Failure.CRASHED):
            attempt = session.next_attempt()
            assert attempt is not None
            session.record_failure(attempt.number, failure, "ValueError: no", worker=WORKER)
        play(session)
    with StudyWriter.open(folder, study.with_changes(trials=study.trials + 1), versions={}) as writer:
        assert Session(study.with_changes(trials=study.trials + 1), writer, writer.rows[:]).next_attempt()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrialStore:
    folder = tmp_path_factory.mktemp("cookbook")
    search_with_failures(folder, a_study(name="digits-recipes"))
    search(folder, a_study(name="digits-recipes-2", trials=4))
    search(folder, widths())
    search(folder, my_loop())
    append_latencies(folder, [LATENCY])
    return TrialStore(folder)


@pytest.mark.parametrize("query", QUERIES)
def test_query_finds_rows(store: TrialStore, query: str) -> None:
    assert len(store.sql(query))


def test_there_are_queries() -> None:
    assert len(QUERIES) >= 25


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
