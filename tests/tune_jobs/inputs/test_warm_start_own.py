"""Own training learns from another study of own training, at its own costs; from a recipe never, nor back."""

from __future__ import annotations

from pathlib import Path

import own_studies
import pytest
from optuna.trial import TrialState

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs import Float, Maximize, Minimize, Objective, Space, Study
from tune_jobs.analysis.audit import audit
from tune_jobs.inputs.warm_start import REFUSED_THERE, Source, read_source
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.session.attempt import SessionSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import Row, State
from tune_jobs.study.stored import study_from_definition
from tune_jobs.testing.in_process import own_reports, play
from tune_jobs.testing.memory_log import MemoryLog


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    store = str(tmp_path_factory.mktemp("own") / "trials")
    for study in (own_studies.cells(), own_studies.pair()):
        own_studies.train_into(store, study)
    shipped = Study(name="shipped", space=Space(Float("lr", 0, 1)), recipe=Recipe(learning_rate=1, epochs=1))
    StudyWriter.open(store, shipped, versions={}).close()
    return store


def cheaper(params: dict[str, int]) -> dict[str, float]:
    return {"macs": 10 * params["epochs"], "memory_gb": params["epochs"] / 4}


def learned(study: Study, source: Source) -> list[Row]:
    log = MemoryLog()
    settings = SessionSettings(origin=source.origin, source_trials=source.trials)
    session = Session(study, log, settings=settings)
    play(session, own_reports(study), max_epochs=20)
    return log.rows


def test_trials_keep_their_ends_and_get_the_costs_of_the_study_that_learns(store: str) -> None:
    study = own_studies.cells().with_changes(name="second", cost=cheaper, limits={"memory_gb": 0.6})
    source = read_source(study, "cells", store=store)
    for trial in source.trials:
        assert trial.end.macs == 10 * int(str(trial.params["epochs"]))
    states = {trial.end.state for trial in source.trials}
    assert states == {State.COMPLETED, State.STOPPED, State.INFEASIBLE}
    rows = learned(study, source)
    trials = as_optuna_study(study, History.from_rows(study, rows)).trials[: len(source.trials)]
    for trial, known in zip(trials, source.trials, strict=True):
        excess = int(str(known.params["epochs"])) / 4 / 0.6 - 1
        assert trial.constraints["max_memory_gb"] == pytest.approx(excess)
        if known.end.state is State.COMPLETED:
            assert (trial.state, trial.value) == (TrialState.COMPLETE, known.end.objective)
        elif known.end.state is State.STOPPED:
            assert trial.state is TrialState.PRUNED
            assert trial.intermediate_values


def test_refusals_that_this_study_would_not_make_are_left_out(store: str) -> None:
    study = own_studies.plain()
    source = read_source(study, "cells", store=store)
    assert source.left_out[REFUSED_THERE] > 0
    assert all(trial.end.macs is None for trial in source.trials)


def test_costs_as_objectives_are_those_of_the_study_that_learns(store: str) -> None:
    study = own_studies.pair().with_changes(name="second", cost=cheaper)
    source = read_source(study, "pair", store=store)
    trials = as_optuna_study(study, History.from_rows(study, learned(study, source))).trials
    for trial, known in zip(trials, source.trials, strict=False):
        if known.end.state is State.COMPLETED:
            assert trial.values[2] == int(str(known.params["epochs"])) / 4


@pytest.mark.parametrize("name", ["cells", "pair"])
def test_the_audit_of_a_study_that_learned_is_clean_without_its_code(store: str, name: str) -> None:
    study = getattr(own_studies, name)().with_changes(name="second", cost=cheaper)
    rows = learned(study, read_source(study, name, store=store))
    result = audit(study_from_definition("second", study.definition()), rows)
    assert result.num_proposals > 0
    assert result.differences == ()


def test_a_recipe_and_own_training_do_not_learn_from_each_other(store: str) -> None:
    with pytest.raises(InvalidValueError, match=r"'shipped' trains by a recipe, and this study by its own"):
        read_source(own_studies.cells(), "shipped", store=store)
    shipped = Study(name="x", space=Space(Float("lr", 0, 1)), recipe=Recipe(learning_rate=1, epochs=1))
    with pytest.raises(InvalidValueError, match=r"'cells' trains by its own function, and this study by a"):
        read_source(shipped, "cells", store=store)


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (Minimize("number"), "'cells' searches number in the other direction"),
        (Maximize("IoU"), "'cells' searches number, and this study IoU"),
    ],
)
def test_other_objectives_are_refused(store: str, objective: Objective, said: str) -> None:
    study = own_studies.cells().with_changes(name="second", objectives=(objective,))
    with pytest.raises(InvalidValueError, match=said):
        read_source(study, "cells", store=store)


def test_a_cost_function_that_raises_says_so(store: str, tmp_path: Path) -> None:
    def cost(params: dict[str, int]) -> dict[str, float]:
        raise KeyError("depth")

    study = own_studies.cells().with_changes(name="second", cost=cost)
    with pytest.raises(InvalidValueError, match="raised KeyError: 'depth'"):
        read_source(study, "cells", store=store)
