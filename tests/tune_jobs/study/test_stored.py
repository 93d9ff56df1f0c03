"""The way back from a study's definition."""

from __future__ import annotations

import json

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.study.fits import fit_recipe
from tune_jobs.study.stored import study_from_definition


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_study_comes_back_from_its_definition_as_json(name: str) -> None:
    study = SHIPPED[name]()
    again = study_from_definition(study.name, json.loads(json.dumps(study.definition())))
    assert again.definition() == study.definition()
    assert again.fingerprint() == study.fingerprint()
    assert (again.space, again.recipe, again.limits) == (study.space, study.recipe, study.limits)
    assert again.fit is study.fit


def test_an_unknown_training_function_is_replaced_by_the_shipped_one() -> None:
    definition = {**SHIPPED["digits-recipes"]().definition(), "fit": "my_fit"}
    assert study_from_definition("x", definition).fit is fit_recipe


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"version": 99},
            "definition of study 'x' has version 99, this program reads version 1 alone; use",
        ),
        ({"version": None}, "has version None"),
        (
            {"recipe": {"learning_rate": 0.1, "epochs": 1, "model": "mine"}},
            "'x' needs parts that its own code registers: .*'mine'.* FILE.py:FUNCTION or MODULE",
        ),
    ],
)
def test_what_this_process_cannot_read_is_refused_with_the_way_out(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidValueError, match=words):
        study_from_definition("x", {**SHIPPED["digits-recipes"]().definition(), **changes})
