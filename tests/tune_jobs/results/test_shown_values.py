"""What the prompt and a notebook show of studies, spaces, stores and results: short, whole, escaped."""

from __future__ import annotations

from pathlib import Path

import pytest
from every_ending import every_ending
from own_studies import cells

from eml_models import Recipe
from tune_jobs import Choice, Constant, Float, Integer, Results, Space, Study, TrialStore, When
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.store.writer import StudyWriter

HOSTILE = "<script>alert(1)</script>"


def test_space_can_be_pasted() -> None:
    space = Space(
        Float("lr", 1e-3, 1.0, log=True),
        Choice("head", ("plain", "deep")),
        Integer("depth", 1, 8, when=When("head", ("deep",))),
        Constant("fixed", (1, 2)),
    )
    assert repr(space).startswith(
        "Space(Float('lr', 0.001, 1.0, log=True), Choice('head', ('plain', 'deep')), "
    )
    names = {cls.__name__: cls for cls in (Space, Float, Choice, Integer, When, Constant)}
    assert eval(repr(space), names) == space
    page = space._repr_html_()
    assert "0.001 to 1, logarithmic" in page
    assert "head is deep" in page
    assert "(1, 2) (fixed)" in page


def test_long_space_says_how_many_more() -> None:
    space = Space([Float(f"x_{index}", 0, 1) for index in range(30)])
    assert len(repr(space)) < 250
    assert repr(space).endswith(", and 25 more)")


@pytest.mark.parametrize("study", [*SHIPPED, "own"])
def test_study_is_short(study: str) -> None:
    found = SHIPPED[study]() if study in SHIPPED else cells()
    assert len(repr(found)) < 700
    assert f"trials {found.trials}" in repr(found)
    assert found.objective.metric in repr(found)
    assert "memory address" not in repr(found)
    assert " at 0x" not in repr(found)
    assert found.space.names[0] in found._repr_html_()


def test_study_names_its_limits_and_rungs() -> None:
    shown = repr(every_ending())
    assert "limits max_memory_gb 3" in shown
    assert "rungs 3;" in shown


def test_notebook_shows_the_best_trials_and_escapes_all(ended: Results) -> None:
    page = ended._repr_html_()
    assert f"<td>{ended.best.number}</td>" in page
    assert "completed" in page
    hostile = every_ending(description=HOSTILE)._repr_html_()
    assert HOSTILE not in hostile
    assert "&lt;script&gt;" in hostile


def test_store_lists_its_studies(ended: Results, tmp_path: Path) -> None:
    store = TrialStore(ended.store)
    assert repr(store) == f"TrialStore({ended.store!r})"
    page = store._repr_html_()
    assert "<td>cells</td>" in page
    assert f"<td>{len(ended.trials)}</td>" in page


def test_results_without_trials_are_shown_too(tmp_path: Path) -> None:
    with StudyWriter.open(tmp_path, every_ending(), versions={}):
        """Defines the study."""
    assert "no trial has ended" in TrialStore(tmp_path).results("cells")._repr_html_()


def test_study_of_a_recipe_shows_it() -> None:
    study = Study(name="s", space=Space(Float("momentum", 0, 1)), recipe=Recipe(learning_rate=0.1, epochs=2))
    assert "training Recipe(learning_rate=0.1, epochs=2)" in repr(study)
