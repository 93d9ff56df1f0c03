"""The names that definitions give to training functions outlive moved, mended and reworded code."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eml_models.training.recipe import Recipe
from tune_jobs.inputs.user_code import load_study
from tune_jobs.study.definition import Study
from tune_jobs.study.fits import SHIPPED_FITS, Fit, fit_and_test, fit_recipe, name_of_fit
from tune_jobs.study.parameters import Float
from tune_jobs.study.space import Space

FILE = """
from eml_models import Recipe
from tune_jobs import Float, Space, Study

def fit(recipe, **options):
    {body}

def mine():
    space = Space(Float("learning_rate", 0.1, 1))
    return Study(name="mine", space=space, recipe=Recipe(learning_rate=0.1, epochs=1), fit=fit)
"""


def fit_of_this_module(recipe: Recipe, **options: Any) -> Iterable[Any]:
    return iter(())


class Trainer:
    def __call__(self, recipe: Recipe, **options: Any) -> Iterable[Any]:
        return iter(())

    def train(self, recipe: Recipe, **options: Any) -> Iterable[Any]:
        return iter(())


def test_shipped_names_are_pinned() -> None:
    assert {"eml_models:fit": fit_recipe, "eml_models:fit_and_test": fit_and_test} == SHIPPED_FITS
    assert [name_of_fit(fit) for fit in SHIPPED_FITS.values()] == list(SHIPPED_FITS)


@pytest.mark.parametrize(
    ("fit", "name"),
    [
        (fit_of_this_module, "fit_of_this_module"),
        (partial(fit_of_this_module, extra=1), "fit_of_this_module"),
        (Trainer(), "Trainer"),
        (Trainer().train, "Trainer.train"),
    ],
)
def test_own_function_is_named_without_its_module(fit: Fit, name: str) -> None:
    study = Study(
        name="x",
        space=Space(Float("learning_rate", 0.1, 1)),
        recipe=Recipe(learning_rate=0.1, epochs=2),
        fit=fit,
    )
    assert study.definition()["fit"] == name
    assert study.has_own_fit
    assert not study.with_changes(fit=fit_recipe).has_own_fit


def test_mended_or_moved_file_is_the_same_study(tmp_path: Path) -> None:
    places = [tmp_path / "a.py", tmp_path / "elsewhere" / "b.py"]
    places[1].parent.mkdir()
    fingerprints = set()
    for path, body in zip(places, ("return 1 / 0", "return iter(())  # mended"), strict=True):
        path.write_text(FILE.format(body=body))
        fingerprints.add(load_study(f"{path}:mine")[0].fingerprint())
    assert len(fingerprints) == 1
