"""GPUs that a run may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.inputs.shipped import digits_recipes, lab_macs_30m
from tune_jobs.session.settings import RunSettings
from tune_jobs.study.definition import Study
from tune_jobs.study.method import LatencyMode

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def fit_of_ones_own(recipe: Recipe, **options: Any) -> Iterator[SimpleNamespace]:
    assert set(options) == {"device", "data_dir", "resume_from"}
    yield SimpleNamespace(epoch=1, val_accuracy=0.5)


def a_study_with_latency() -> Study:
    return lab_macs_30m().with_changes(latency=LatencyMode())


@pytest.mark.parametrize(
    ("study", "gpus", "words"),
    [
        (digits_recipes(), 2, "at most 1 for the shipped training, got 2"),
        (a_study_with_latency(), 0.25, r"latency is measured on a whole GPU, got --gpus-per-trial 0\.25"),
    ],
)
def test_what_gpus_cannot_do_is_refused_before_ray(study: Study, gpus: float, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        RunSettings(gpus_per_trial=gpus).check_gpus(study)


def test_what_gpus_can_do_is_not_refused() -> None:
    RunSettings(gpus_per_trial=2).check_gpus(digits_recipes().with_changes(fit=fit_of_ones_own))
    RunSettings(gpus_per_trial=1).check_gpus(a_study_with_latency())
    RunSettings(gpus_per_trial="auto").check_gpus(a_study_with_latency())
    RunSettings(gpus_per_trial=0.25).check_gpus(digits_recipes())
