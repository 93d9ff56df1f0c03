"""A run that cannot succeed is refused before Ray starts and before the store learns of the study."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from living_ray import LivingRay
from ray import cloudpickle
from ray_studies import curve_study

from eml_models.data.datasets import get_dataset_spec, register_dataset, unregister_dataset
from eml_models.errors import DatasetMissingError, EmlError, InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.errors import TuneJobsError
from tune_jobs.inputs.shipped import digits_recipes, mnist_recipes
from tune_jobs.on_ray import preflight, runner, tuning
from tune_jobs.on_ray.preflight import check_before_ray, require_picklable
from tune_jobs.on_ray.runner import run_study
from tune_jobs.on_ray.worker.payload import pack_fit
from tune_jobs.session.settings import RunSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.objective import Maximize
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.parameters import Choice, Constant, Float
from tune_jobs.study.space import Space
from tune_jobs.worker.own_attempt import OwnAttempt

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

LOCK = threading.Lock()


def fit_with_a_lock(recipe: Recipe, *, lock: Any, **options: Any) -> Iterator[SimpleNamespace]:
    yield SimpleNamespace(epoch=1, val_accuracy=0.5)


def unpicklable() -> Study:
    return curve_study(fit=partial(fit_with_a_lock, lock=LOCK))


def train_with_a_lock(params: dict[str, Any], run: Any, *, lock: Any) -> dict[str, float]:
    return {"iou": 0.5}


def own(train: Any) -> Study:
    space, objectives = Space(Float("lr", 0.1, 1.0)), (Maximize("iou"),)
    return Study(name="own", space=space, train=train, objectives=objectives, epochs=1)


def train_at_once(params: dict[str, Any], run: Any) -> dict[str, float]:
    return {"iou": 0.5}


def own_plain() -> Study:
    return own(train_at_once)


def own_unpicklable() -> Study:
    return own(partial(train_with_a_lock, lock=LOCK))


def cell(text: str) -> Any:
    """The function `train` of a notebook's cell: it lives in ``__main__``, and no file has it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, "<ipython-input-1>", "exec"), names)
    return names["train"]


CELL = """
import threading
lock = threading.Lock()
scale = 2.0
def scaled(value):
    return scale * value
def train(params, run):
    {line}
    yield {{"iou": scaled(params["lr"])}}
"""


def own_unpicklable_cell() -> Study:
    return own(cell(CELL.format(line="lock.acquire()")))


def grid_without_end() -> Study:
    return digits_recipes().with_changes(
        sampler=SamplerName.GRID, space=Space(Float("learning_rate", 1e-3, 1.0))
    )


def of_two_types() -> Study:
    return digits_recipes().with_changes(space=Space(Choice("repeat", ("first", 2))))


@pytest.fixture(autouse=True)
def _ray_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("Ray was about to start")

    monkeypatch.setattr(runner, "connected", refuse)
    monkeypatch.setattr(preflight, "gpus_here", lambda: 0)
    monkeypatch.setattr(preflight, "cores_here", lambda: 2)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("build", "settings", "kind", "words"),
    [
        (
            unpicklable, {}, InvalidValueError,
            "function fit_with_a_lock must be picklable, .* cannot pickle '_thread.lock' object; make",
        ),
        (
            own_unpicklable, {}, InvalidValueError,
            "function train_with_a_lock must be picklable, .* cannot pickle '_thread.lock' object; make",
        ),
        (
            own_unpicklable_cell, {}, InvalidValueError,
            "function train must be picklable, .* cannot pickle '_thread.lock' object; make",
        ),
        (grid_without_end, {}, InvalidValueError, "'learning_rate' is continuous; give it a step"),
        (of_two_types, {}, InvalidValueError, "parameter 'repeat' mixes int64 and string"),
        (mnist_recipes, {}, DatasetMissingError, "data set 'mnist' is not in .*; name its folder"),
        (digits_recipes, {"gpus_per_trial": 1}, TuneJobsError, "1 GPU, and this machine has none; leave"),
        (digits_recipes, {"gpus_per_trial": 0.5}, TuneJobsError, "a trial takes 0.5 GPU"),
        (digits_recipes, {"gpus_per_trial": "auto"}, TuneJobsError, "a trial takes 1 GPU"),
        (digits_recipes, {"device": "cuda"}, TuneJobsError, "a trial takes 1 GPU"),
        (own_plain, {"gpus_per_trial": 4096}, TuneJobsError, "4096 GPU, and this machine has none; leave"),
        (
            own_plain, {"cpus_per_trial": 4096}, TuneJobsError,
            "a trial takes 4,096 CPUs, and this machine has 2 cores; lower --cpus-per-trial to at most 2, or",
        ),
        (own_plain, {"cpus_per_trial": 3, "inline": True}, TuneJobsError, "a trial takes 3 CPUs, and this"),
        (
            own_plain, {"workers": 100_000}, TuneJobsError,
            "100,000 workers of 1 CPU each are too many for this machine, which has 2 cores: .*most 32, or",
        ),
        (own_plain, {"workers": 17, "cpus_per_trial": 2}, TuneJobsError, "lower --workers to at most 16, or"),
        (digits_recipes, {"address": "nowhere"}, InvalidValueError, "is HOST:PORT"),
    ],
)  # fmt: skip
def test_what_this_process_sees_is_refused_before_the_store_knows(
    build: Callable[[], Study],
    settings: dict[str, Any],
    kind: type[EmlError],
    words: str,
    dry_run: bool,
    tmp_path: Path,
) -> None:
    asked = RunSettings(store=str(tmp_path / "trials"), data_dir=str(tmp_path / "data"), **settings)
    check = partial(check_before_ray, code=None, dry_run=True) if dry_run else run_study
    with pytest.raises(kind, match=words):
        check(build(), asked)
    assert list(tmp_path.iterdir()) == []


def test_study_of_the_store_is_refused_in_order_and_its_session_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(tmp_path / "trials")
    monkeypatch.setattr(runner, "connected", lambda *args, **options: nullcontext(LivingRay()))
    monkeypatch.setattr(tuning, "fit_session", lambda *args, **options: True)
    run_study(digits_recipes(), store=store)
    with pytest.raises(TuneJobsError, match="a trial takes 1 GPU"):
        run_study(digits_recipes(), store=store, device="cuda")
    kinds = TrialStore(store).sql("select kind, count(*) as n from events group by kind order by kind")
    assert dict(zip(kinds["kind"], kinds["n"], strict=True)) == {"session_ended": 2, "session_started": 2}


def test_complete_study_needs_neither_data_nor_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def complete(session: Session, *args: object, **options: object) -> bool:
        from session_testing import play

        play(session)
        return False

    study, store = digits_recipes().with_changes(trials=1), str(tmp_path / "trials")
    monkeypatch.setattr(runner, "connected", lambda *args, **options: nullcontext(LivingRay()))
    monkeypatch.setattr(tuning, "fit_session", complete)
    run_study(study, store=store)
    assert run_study(study, store=store, device="cuda").already_complete


@pytest.mark.parametrize(
    ("settings", "found", "is_refused"),
    [
        ({"gpus_per_trial": 2}, 1, True),
        ({"gpus_per_trial": 2}, 2, False),
        ({"gpus_per_trial": 0.25}, 1, False),
        ({"gpus_per_trial": "auto"}, 1, False),
        ({"gpus_per_trial": 0}, 0, False),
        ({"device": "cpu"}, 0, False),
        ({}, 0, False),
    ],
)
def test_gpus_are_counted_where_a_trial_cannot_do_without(
    settings: dict[str, Any], found: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "gpus_here", lambda: found)
    study = curve_study() if settings.get("gpus_per_trial") == 2 else digits_recipes()
    asked = RunSettings(**settings)
    if not is_refused:
        check_before_ray(study, asked, code=None)
        return
    with pytest.raises(TuneJobsError, match="takes 2 GPU, and this machine has 1 of them; lower --gpus-per"):
        check_before_ray(study, asked, code=None)


def test_gpus_of_a_cluster_or_of_a_ray_that_runs_are_not_counted_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_before_ray(digits_recipes(), RunSettings(device="cuda", address="10.0.0.5:6379"), code=None)
    monkeypatch.setitem(preflight.sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True))
    check_before_ray(digits_recipes(), RunSettings(device="cuda"), code=None)


def test_dry_run_downloads_nothing_and_a_cluster_has_its_own_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = RunSettings(data_dir=str(tmp_path / "data"), download=True)
    check_before_ray(mnist_recipes(), asked, code=None, dry_run=True)
    assert list(tmp_path.iterdir()) == []
    on_cluster = RunSettings(data_dir=str(tmp_path / "data"), address="10.0.0.5:6379")
    check_before_ray(mnist_recipes(), on_cluster, code=None)


@pytest.mark.parametrize("parameter", [Choice("dataset", ("digits", "mnist")), Constant("dataset", "mnist")])
def test_data_sets_that_the_space_searches_are_looked_for(
    parameter: Choice | Constant, tmp_path: Path
) -> None:
    study = digits_recipes().with_changes(space=Space(parameter))
    with pytest.raises(DatasetMissingError, match="data set 'mnist' is not in"):
        check_before_ray(study, RunSettings(data_dir=str(tmp_path)), code=None)


def test_registered_part_that_cannot_be_pickled_is_named() -> None:
    lock = threading.Lock()
    spec = replace(get_dataset_spec("digits"), name="locked", read=lambda folder, download: lock)
    register_dataset(spec)
    try:
        with pytest.raises(InvalidValueError, match=r"\((.*, )?locked\) must be picklable, .* make what"):
            require_picklable(digits_recipes(), None, address=None)
    finally:
        unregister_dataset("locked")


def test_a_function_of_a_notebooks_cell_reaches_the_workers_with_what_it_names() -> None:
    study = own(cell(CELL.format(line="pass")))
    require_picklable(study, None, address=None)
    copied = cloudpickle.loads(pack_fit(study))
    recipe = OwnRecipe(params={"lr": 0.5}, epochs=1, seed=1)
    (report,) = OwnAttempt(copied, recipe, number=0).iter_reports()
    assert report.metrics == {"iou": 1.0}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"workers": 32},
        {"workers": 16, "cpus_per_trial": 2},
        {"cpus_per_trial": 2, "inline": True},
        {"cpus_per_trial": 4096, "workers": 10**6, "address": "127.0.0.1:6379"},  # the cluster's to say
    ],
)
def test_what_this_machine_can_bear_is_not_refused(settings: dict[str, Any]) -> None:
    check_before_ray(own_plain(), RunSettings(**settings), code=None)


def test_a_ray_that_runs_already_says_itself_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_is_connected", lambda: True)
    check_before_ray(own_plain(), RunSettings(cpus_per_trial=4096), code=None)
