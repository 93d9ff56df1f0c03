"""Finalists on a real Ray: really trained on all images, tested once, and complete when asked again."""

from __future__ import annotations

from pathlib import Path

import pytest

from eml_models.training.recipe import Recipe
from tune_jobs import RunSettings, TrialStore, run_study
from tune_jobs.inputs.finalists import FinalOptions, final_study
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Choice
from tune_jobs.study.space import Space

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_of_the_tests")]


def test_finalists_are_tested_and_the_search_is_not(tmp_path: Path) -> None:
    search = Study(
        name="search",
        space=Space(Choice("learning_rate", (1e-5, 0.05))),
        recipe=Recipe(learning_rate=0.1, epochs=2, batch_size=32),
        trials=2,
        sampler=SamplerName.GRID,
        asha=None,
    )
    settings = RunSettings(store=str(tmp_path / "store"), workers=2)
    run_study(search, settings)
    store = TrialStore(tmp_path / "store")
    options = FinalOptions(top=1, repeats=2, epochs=3, baselines=("small_cnn:width=1,learning_rate=1e-5",))
    final, _ = final_study(search, store.rows("search"), options)
    outcome = run_study(final, settings)
    assert outcome.progress.completed == 4
    trials = store.trials("search-final").sort_values("number")
    good, bad = (trials[trials["param_candidate"] == c.name] for c in final.candidates)
    tried = store.trials("search").set_index("param_learning_rate")["number"]
    assert final.candidates[0].name == f"trial-{tried[0.05]}"
    assert good["test_accuracy"].min() > 0.8 > 0.5 > bad["test_accuracy"].max()
    assert list(trials["param_repeat"]) == [1, 1, 2, 2]
    assert trials["val_accuracy"].isna().all()
    reports = store.reports("search-final")
    assert list(reports[reports["test_accuracy"].notna()]["epoch"].unique()) == [3]
    assert store.reports("search")["test_accuracy"].isna().all()
    assert run_study(final, settings).already_complete
