"""A study by its name: shipped, by its place, or from a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mini_studies
import pytest

from eml_models.errors import InvalidValueError, UnknownNameError
from tune_jobs.inputs.named_study import find_study, load_target
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.on_ray.runner import run_study
from tune_jobs.session.attempt import SessionSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionStarted

FILE = """
from tune_jobs.inputs.shipped import digits_recipes

def mine():
    return digits_recipes().with_changes(name="mine", trials=3)
"""


def begin(store: Path, study: Study) -> None:
    """A run of the study that is killed at once."""
    with StudyWriter.open(store, study, versions={}) as writer:
        settings = SessionSettings(started=SessionStarted(trials=study.trials))
        Session(study, writer, writer.rows, settings=settings)


def test_study_is_itself_and_a_shipped_name_is_the_shipped_study(tmp_path: Path) -> None:
    study = digits_recipes()
    assert find_study(study, store=str(tmp_path)) == (study, None)
    assert find_study("digits-recipes", store=str(tmp_path / "none")) == (study, None)


def test_name_with_a_colon_is_a_place_of_code(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(FILE)
    study, code = find_study(f"{tmp_path / 'own.py'}:mine", store="trials")
    assert (study.name, study.trials) == ("mine", 3)
    assert code is not None


def test_study_of_a_store_continues_to_the_trials_of_its_newest_run(tmp_path: Path) -> None:
    study = digits_recipes().with_changes(name="in-store", trials=7)
    begin(tmp_path / "trials", study)
    begin(tmp_path / "trials", study.with_changes(trials=40))
    found, code = find_study("in-store", store=str(tmp_path / "trials"))
    assert (found.trials, code) == (40, None)
    assert found.fingerprint() == study.fingerprint()


def test_study_of_a_store_without_its_code_is_refused(tmp_path: Path) -> None:
    with mini_studies.registered():
        begin(tmp_path / "trials", mini_studies.csvs())
    with pytest.raises(InvalidValueError, match=r"trained by the function fit, .* give run_study the"):
        find_study("csvs", store=str(tmp_path / "trials"))


OWN = """
from tune_jobs import Float, Maximize, Space, Study

def train(params, run):
    return {"iou": params["lr"]}

def study():
    return Study(name="cells", space=Space(Float("lr", 0.1, 1.0)), train=train,
                 objectives=(Maximize("iou"),), epochs=1, trials=1)
"""


def test_study_that_only_the_store_knows_is_named_by_the_words_of_its_last_run(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    words, store = f"{tmp_path / 'mine.py'}:study", str(tmp_path / "trials")
    run_study(words, store=store, inline=True)
    rule = f"study 'cells' of '{store}' is trained by the function train, and a store holds no code; give its"
    hint = f"`run {words} --name cells` (its last run named this code)"
    for way in (lambda: load_target("cells", store=store), lambda: find_study("cells", store=store)):
        with pytest.raises(InvalidValueError) as error:
            way()
        assert str(error.value).startswith(f"{rule} code and its name: {hint}")
    found, _ = find_study(words, store=store)
    assert load_target(words, store=store)[0].fingerprint() == found.fingerprint()
    run_study(found.with_changes(trials=2), store=store, inline=True)  # made in Python: it has no words
    with pytest.raises(
        InvalidValueError, match=r"mine\.py:study --name cells` \(its last run named this code\)"
    ):
        load_target("cells", store=store)


def test_study_made_in_python_is_named_by_the_form_of_such_words(tmp_path: Path) -> None:
    with mini_studies.registered():
        begin(tmp_path / "trials", mini_studies.csvs())
    with pytest.raises(
        InvalidValueError, match=r"`run FILE\.py:FUNCTION --name csvs` \(or MODULE:FUNCTION\)$"
    ):
        load_target("csvs", store=str(tmp_path / "trials"))


def test_changed_shipped_study_is_named_by_the_shipped_one(tmp_path: Path) -> None:
    begin(tmp_path / "trials", digits_recipes().with_changes(name="in-store"))
    with pytest.raises(InvalidValueError, match=r"run it as it was begun, .*: run STUDY --name in-store"):
        load_target("in-store", store=str(tmp_path / "trials"))


@pytest.mark.parametrize("has_store", [False, True])
def test_a_target_that_nobody_knows_is_unknown(tmp_path: Path, has_store: bool) -> None:
    if has_store:
        begin(tmp_path / "trials", digits_recipes().with_changes(name="in-store"))
    with pytest.raises(UnknownNameError, match="unknown study 'in-stor'"):
        load_target("in-stor", store=str(tmp_path / "trials"))
    with pytest.raises(InvalidValueError, match="could not import"):
        load_target("no.such.module:study", store=str(tmp_path / "trials"))


@pytest.mark.parametrize("has_store", [False, True])
def test_unknown_name_lists_shipped_studies_and_those_of_the_store(tmp_path: Path, has_store: bool) -> None:
    if has_store:
        begin(tmp_path / "trials", digits_recipes().with_changes(name="digits-recipe-2"))
    with pytest.raises(
        UnknownNameError, match="unknown study 'digits-recipe'; known: digits-recipe"
    ) as found:
        find_study("digits-recipe", store=str(tmp_path / "trials"))
    assert ("digits-recipe-2" in str(found.value)) is has_store


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (digits_recipes, r"study must be a Study or a name, got <function .*; call the function"),
        (None, r"study must be a Study or a name, got None; write Study\(...\)"),
    ],
)
def test_what_is_no_study_is_refused(given: Any, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        find_study(given, store="trials")
