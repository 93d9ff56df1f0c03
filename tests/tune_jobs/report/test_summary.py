"""A study in one sentence."""

from __future__ import annotations

import pytest

from eml_models.training.recipe import Recipe
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.report.summary import summary
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Constant, Float, When
from tune_jobs.study.space import Space


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_study_is_a_sentence_with_its_trials_and_data_set(name: str) -> None:
    study = SHIPPED[name]()
    said = summary(study)
    assert f"{study.trials} trials of " in said
    assert f" on {study.recipe.dataset};" in said


def test_param_whose_condition_a_fixed_value_rules_out_is_not_searched() -> None:
    space = Space(
        Choice("optimizer", ("adam", "sgd_momentum")),
        Float("momentum", 0.5, 0.9, when=When("optimizer", ("sgd_momentum",))),
    )
    recipe = Recipe(model="small_cnn", dataset="digits", learning_rate=0.1, epochs=1, max_train_samples=1000)
    study = Study(name="s", space=space, recipe=recipe, trials=1, asha=None)
    assert summary(study) == (
        "tpe over optimizer, momentum; small_cnn on digits (1,000 training images);"
        " 1 trial of 1 epoch; for val_accuracy"
    )
    fixed = Space(Constant("optimizer", "adam"), *space.parameters[1:])
    assert summary(study.with_changes(space=fixed)).startswith("tpe over nothing;")
