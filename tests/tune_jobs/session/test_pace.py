"""The measured time of an epoch: whose epochs count, and whose do not."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from session_testing import WORKER, Clock, a_study, along, in_process, rising

from tune_jobs.session.pace import (
    MeasuredEpoch,
    epochs_sql,
    measured_epochs,
    own_pace,
    pace_of_same_recipe,
)
from tune_jobs.session.state_machine import Session
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Float
from tune_jobs.study.space import Space

NOW = datetime(2030, 1, 1, tzinfo=UTC)
STUDY = a_study()
EPOCH = MeasuredEpoch(
    study="other",
    fit="eml_models:fit",
    recipe=STUDY.recipe.as_dict(),
    epoch_s=2.0,
    device="cpu: x",
    reported_at=NOW,
)


def own_fit(*args: object, **options: object) -> list[object]:
    return []


def test_same_recipe_gives_its_mean() -> None:
    found = pace_of_same_recipe(STUDY, [EPOCH, replace(EPOCH, epoch_s=4.0)], device="auto")
    assert found is not None
    assert (found.epoch_s, found.count) == (3.0, 2)
    assert found.source == "study 'other' with the same recipe on this machine (cpu)"


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "mnist"},
        {"model": "resnet18"},
        {"batch_size": 7},
        {"precision": "bf16"},
        {"max_train_samples": 100},
        {"model_options": {"width": 8}},
    ],
)
def test_what_decides_the_time_must_be_equal(changes: dict[str, object]) -> None:
    other = replace(EPOCH, recipe={**EPOCH.recipe, **changes})
    assert pace_of_same_recipe(STUDY, [other], device="auto") is None


@pytest.mark.parametrize(
    "changes", [{"optimizer": "adam"}, {"learning_rate": 0.7}, {"epochs": 99}, {"seed": 5}]
)
def test_what_does_not_decide_the_time_may_differ(changes: dict[str, object]) -> None:
    other = replace(EPOCH, recipe={**EPOCH.recipe, **changes})
    assert pace_of_same_recipe(STUDY, [other], device="auto") is not None


def test_field_that_is_searched_may_have_any_of_its_values() -> None:
    study = a_study(space=Space(Choice("batch_size", (32, 64))))
    for size, counts in ((32, True), (128, False)):
        other = replace(EPOCH, recipe={**EPOCH.recipe, "batch_size": size})
        assert (pace_of_same_recipe(study, [other], device="auto") is not None) == counts


@pytest.mark.parametrize(
    "study",
    [a_study(fit=own_fit), a_study(space=Space(Float("width_mult", 0.1, 1.0)), recipe=STUDY.recipe)],
)
def test_no_other_study_has_the_time_of_own_code_or_of_searched_networks(study: Study) -> None:
    assert pace_of_same_recipe(study, [EPOCH], device="auto") is None


def test_other_devices_and_functions_do_not_count_and_the_newest_study_does() -> None:
    assert pace_of_same_recipe(STUDY, [EPOCH], device="cuda") is None
    assert pace_of_same_recipe(STUDY, [replace(EPOCH, fit="own:fit")], device="auto") is None
    newer = replace(EPOCH, study="newer", epoch_s=9.0, reported_at=NOW + timedelta(days=1))
    found = pace_of_same_recipe(STUDY, [EPOCH, newer], device="cpu")
    assert found is not None
    assert found.epoch_s == 9.0


def test_epochs_come_from_a_store_by_machine(tmp_path: Path) -> None:
    store = str(tmp_path / "trials")
    here = replace(WORKER, hostname=socket.gethostname())
    with StudyWriter.open(store, STUDY, versions={}) as writer:
        in_process.play(Session(STUDY, writer, clock=Clock()), along(rising), worker=here)
    opened = TrialStore(store)
    epochs = measured_epochs(opened.answer(epochs_sql(socket.gethostname())).rows)
    assert len(epochs) == sum(trial.epochs for trial in opened.trials().itertuples())
    assert {epoch.epoch_s for epoch in epochs} == {1.0}
    assert opened.answer(epochs_sql("it's another")).rows == ()
    own = own_pace(opened.rows("played"))
    assert own is not None
    assert (own.epoch_s, own.count, own.source) == (1.0, len(epochs), "this study")
    assert own_pace([]) is None
