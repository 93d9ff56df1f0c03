"""Settings of a run: values out of range are refused, and GPUs that a study cannot use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.training.recipe import Recipe
from tune_jobs.inputs.shipped import digits_recipes, lab_macs_30m
from tune_jobs.session.settings import OF_THE_STUDY, RunSettings, SettingFields, joined_settings
from tune_jobs.study.definition import Study
from tune_jobs.study.method import LatencyMode
from tune_jobs.study.objective import Maximize
from tune_jobs.study.parameters import Float
from tune_jobs.study.space import Space
from tune_jobs.study.words import WORDS

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
        (
            digits_recipes().with_changes(fit=fit_of_ones_own),
            "auto",
            "trains by a function of its own; give --gpus-per-trial a number",
        ),
        (a_study_with_latency(), 0.25, r"latency is measured on a whole GPU, got --gpus-per-trial 0\.25"),
    ],
)
def test_what_gpus_cannot_do_is_refused_before_ray(study: Study, gpus: float | str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        RunSettings(gpus_per_trial=gpus).check_gpus(study)


def own_training() -> Study:
    return Study(
        name="own", space=Space(Float("lr", 0.1, 1.0)), train=print, objectives=(Maximize("iou"),), epochs=1
    )


@pytest.mark.parametrize("name", ["kernels", "execution"])
def test_settings_that_a_function_of_ones_own_would_not_obey_are_refused(name: str) -> None:
    value = {"kernels": "searched", "execution": "eager"}[name]
    settings = RunSettings(**{name: value})  # type: ignore[arg-type]  # of that field's type
    settings.check_gpus(digits_recipes())
    with pytest.raises(
        InvalidValueError, match=f"--{name} is of the shipped training.* got {value}; leave it"
    ):
        settings.check_gpus(own_training())


def test_what_gpus_can_do_is_not_refused() -> None:
    RunSettings(gpus_per_trial=2).check_gpus(own_training())
    RunSettings(gpus_per_trial=2).check_gpus(digits_recipes().with_changes(fit=fit_of_ones_own))
    RunSettings(gpus_per_trial=1).check_gpus(a_study_with_latency())
    RunSettings(gpus_per_trial="auto").check_gpus(a_study_with_latency())
    RunSettings(gpus_per_trial=0.25).check_gpus(digits_recipes())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"cpus_per_trial": 0}, "cpus_per_trial must be at least 1, got 0"),
        ({"gpus_per_trial": "all"}, "gpus_per_trial must be a number or auto, got 'all'"),
        ({"gpus_per_trial": 1.5}, "gpus_per_trial must be a fraction up to 1 or a whole number, got 1.5"),
        ({"gpus_per_trial": -1}, "gpus_per_trial must be a fraction up to 1 or a whole number, got -1"),
        ({"kernels": "fast"}, "kernels must be one of .*, got 'fast'"),
        ({"execution": "graph"}, "execution must be one of auto, eager, got 'graph'"),
        ({"device": "tpu"}, "device must be auto, cpu or cuda, got 'tpu'"),
        (
            {"device": "cpu", "gpus_per_trial": 1},
            "gpus_per_trial must be 0 or left out with device cpu, got 1",
        ),
        (
            {"device": "cuda", "gpus_per_trial": 0},
            "gpus_per_trial must be above 0 or left out with device cuda, got 0",
        ),
        ({"cpus_per_trial": 10**400}, "cpus_per_trial must be below 2,147,483,648, got 1000"),
        ({"workers": 2**31}, "workers must be below 2,147,483,648, got 2147483648"),
        ({"gpus_per_trial": 10**400}, "gpus_per_trial must be a fraction up to 1 or a whole number, got inf"),
        ({"gpus_per_trial": 1e300}, "gpus_per_trial must be a fraction up to 1 or a whole number, got 1e"),
        ({"trial_timeout_s": 10**400}, "trial_timeout_s must be a number above 0, got inf"),
        ({"max_failures": -1}, "max_failures must be at least 0, got -1"),
        ({"max_failed_in_a_row": 0}, "max_failed_in_a_row must be at least 1, got 0"),
        ({"max_device_hours": 0.0}, "max_device_hours must be above 0, got 0"),
        ({"checkpoint_period_s": -1.0}, "checkpoint_period_s must be at least 0, got -1"),
        ({"checkpoint_period_s": math.nan}, "checkpoint_period_s must be at least 0, got nan"),
        ({"keep_checkpoints": -1}, "keep_checkpoints must be at least 0, got -1"),
        ({"max_checkpoint_bytes": -1}, "max_checkpoint_bytes must be at least 0, got -1"),
        ({"trial_timeout_s": math.inf}, "trial_timeout_s must be a number above 0, got inf"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        RunSettings(**changes)


def test_all_problems_of_settings_are_named_together() -> None:
    with pytest.raises(InvalidValueError) as raised:
        RunSettings(workers=0, max_failures=-1)
    assert "workers must be at least 1" in str(raised.value)
    assert "max_failures must be at least 0" in str(raised.value)


@pytest.mark.parametrize("gpus", [None, 0, 0.5, 1, 4, "auto"])
def test_gpus_are_a_share_a_whole_number_or_auto(gpus: float | str | None) -> None:
    assert RunSettings(gpus_per_trial=gpus).gpus_per_trial == gpus


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": "2"}, "workers must be a whole number or None, got '2'; write it without quotes: 2"),
        ({"gpus_per_trial": []}, "gpus_per_trial must be a number or auto or None, got"),
        ({"store": 3}, "store must be a path, got 3"),
        ({"download": "yes"}, "download must be True or False, got 'yes'"),
        ({"checkpoint_period_s": None}, "checkpoint_period_s must be a number, got None"),
        ({"points": "points.json"}, "a point must be a dict, got 'points.json'; write such as points="),
        ({"points": [3]}, "a point must be a dict, got 3"),
    ],
)
def test_settings_of_another_kind_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        RunSettings(**changes)


def test_paths_are_taken_and_so_are_lists_of_points_or_one_point() -> None:
    settings = RunSettings(store=Path("a/b"), data_dir=Path("data"), points=[{"w": 1}])  # type: ignore[arg-type]  # taken all the same
    assert (settings.store, settings.data_dir, settings.points) == ("a/b", "data", ({"w": 1},))
    assert RunSettings(points={"w": 1}).points == ({"w": 1},)  # type: ignore[arg-type]  # taken all the same


def test_keywords_of_a_run_are_the_fields_of_its_settings() -> None:
    assert get_type_hints(SettingFields) == get_type_hints(RunSettings)


def test_settings_and_keywords_are_joined() -> None:
    assert joined_settings(None, {}) == RunSettings()
    assert joined_settings(None, {"workers": 2}) == RunSettings(workers=2)
    assert joined_settings(RunSettings(workers=2), {"store": "s"}) == RunSettings(workers=2, store="s")


def test_field_in_settings_and_as_a_keyword_is_refused() -> None:
    with pytest.raises(
        InvalidValueError, match="workers is given twice, got 2 in settings and 3 as a keyword"
    ):
        joined_settings(RunSettings(workers=2), {"workers": 3})


def test_keyword_that_is_no_setting_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown setting of a run 'worker'; known: workers"):
        joined_settings(None, {"worker": 3})


def test_fields_of_the_study_are_no_settings() -> None:
    assert {field.name for field in fields(Study)} | set(WORDS) >= set(OF_THE_STUDY)
    assert not set(OF_THE_STUDY) & {field.name for field in fields(RunSettings)}
    with pytest.raises(
        InvalidValueError, match=r"trials belongs .* write run_study\(study\.with_changes\(tri"
    ):
        joined_settings(None, {"trials": 40})


def test_settings_that_are_none_are_refused() -> None:
    with pytest.raises(
        InvalidValueError, match="settings must be a RunSettings, got 'trials'; write such as"
    ):
        joined_settings("trials", {})  # type: ignore[arg-type]  # wrong on purpose
