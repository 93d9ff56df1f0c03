"""What identifies a study stays what it is when recipes get new fields, and changes when one is used."""

from __future__ import annotations

from tune_jobs.definition import study_from_definition
from tune_jobs.studies import digits_recipes
from tune_jobs.study import Study, differences


def with_recipe(**changes: object) -> Study:
    study = digits_recipes()
    return study.with_changes(recipe=study.recipe.with_changes(**changes))


def test_study_that_stores_hold_already_is_still_the_same() -> None:
    # computed before recipes had ema_decay and cutout
    assert digits_recipes().fingerprint() == "35aede5c350897c7"


def test_field_that_came_later_counts_once_it_is_used() -> None:
    before, after = digits_recipes(), with_recipe(ema_decay=0.99, cutout=0.25)
    assert differences(before.definition(), after.definition()) == [
        "recipe.cutout: was None, is now 0.25",
        "recipe.ema_decay: was None, is now 0.99",
    ]
    assert before.fingerprint() != after.fingerprint()
    assert with_recipe(ema_decay=None, cutout=0.0).fingerprint() == before.fingerprint()


def test_study_comes_back_from_its_definition_with_and_without_later_fields() -> None:
    for study in (digits_recipes(), with_recipe(ema_decay=0.99)):
        again = study_from_definition(study.name, study.definition())
        assert again.recipe == study.recipe
        assert again.fingerprint() == study.fingerprint()
