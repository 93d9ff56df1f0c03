"""Tidy frames: a study's own columns alone, whole numbers whole, names that collide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from every_ending import every_ending
from own_studies import cells, train_into

from eml_models.training.recipe import Recipe
from tune_jobs import Choice, Float, Integer, Results, Space, Study, TrialStore, run_study
from tune_jobs.results.tidy import as_series

ENDS = ["epochs", "best_epoch", "attempt", "train_s", "wall_s", "device_s", "ended_at"]
WHY = ["reason", "failure", "error"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Results:
    study = Study(
        name="digits",
        space=Space(Float("learning_rate", 0.01, 1.0, log=True), Integer("width", 4, 8)),
        recipe=Recipe(learning_rate=0.1, epochs=2, max_train_samples=100),
        objectives=("val_accuracy", "macs"),
        trials=2,
    )
    store = tmp_path_factory.mktemp("store")
    run_study(every_ending(trials=2), store=store, inline=True)  # another study's columns are in the store
    return run_study(study, store=store, inline=True)


def test_trials_of_own_training_have_its_columns_alone(ended: Results) -> None:
    values = ["iou", "param_lr", "param_head", "param_depth", "kind", "masks", "memory_gb"]
    assert list(ended.trials.columns) == ["number", "state", *values, *ENDS, *WHY]
    assert list(ended.trials["number"]) == list(range(len(ended.trials)))


def test_trials_of_shipped_training_have_its_columns_alone(shipped: Results) -> None:
    values = ["val_accuracy", "macs", "param_learning_rate", "param_width"]
    costs = ["parameters", "activations", "traffic_bytes", "peak_memory_bytes"]
    assert list(shipped.trials.columns) == ["number", "state", *values, *costs, *ENDS, *WHY]
    assert shipped.trials["macs"].notna().all()


def test_reports_have_the_metrics_of_each_epoch(ended: Results, shipped: Results) -> None:
    times = ["epoch_s", "elapsed_s", "decision", "decision_reason", "attempt", "reported_at"]
    assert list(ended.reports.columns) == ["number", "epoch", "iou", "kind", "masks", "memory_gb", *times]
    assert not ended.reports.duplicated(["number", "epoch"]).any()
    assert list(shipped.reports["epoch"].groupby(shipped.reports["number"]).max()) == list(
        shipped.trials["epochs"]
    )
    assert {"train_loss", "val_accuracy", "learning_rate"} <= set(shipped.reports.columns)
    assert not {"test_accuracy", "latency_ms", "metrics"} & set(shipped.reports.columns)


def test_whole_numbers_are_whole_where_some_are_missing(ended: Results) -> None:
    trials = ended.trials
    assert trials["param_depth"].dtype == trials["masks"].dtype == pd.Int64Dtype()
    assert trials["param_depth"].isna().any()
    deep = trials[trials["param_head"] == "deep"]
    assert deep["param_depth"].notna().all()
    assert trials["param_lr"].dtype == trials["iou"].dtype == "float64"


def test_a_frame_is_the_callers_to_change(ended: Results) -> None:
    mine = ended.trials
    mine["number"] = -1
    assert ended.trials["number"].iloc[0] == 0


def test_metric_with_the_name_of_another_column_gets_a_prefix(tmp_path: Path) -> None:
    train_into(str(tmp_path), cells())
    found = TrialStore(tmp_path).results("cells")
    assert list(found.trials.columns[:4]) == ["number", "state", "metric_number", "param_lr"]
    assert found.trials["metric_number"].max() == found.best.value
    assert found.trials["param_momentum"].isin(["heavy", "light", "broken"]).all()  # text, unlike the shipped


def test_an_epoch_that_two_attempts_reported_is_there_once(ended: Results) -> None:
    twice = ended.known.reports.assign(seq=ended.known.reports["seq"] + 10_000, attempt=2)
    both = pd.concat([ended.known.reports, twice])
    known = type(ended.known)(
        **{name: getattr(ended.known, name) for name in ended.known.__dataclass_fields__}
    )
    known.__dict__["reports"] = both
    again = Results(store=ended.store, known=known).reports
    pd.testing.assert_frame_equal(again, ended.reports)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, None], "Int64"),
        ([True, None], "boolean"),
        ([1, 0.5, None], "float64"),
        ([(1, 2), None], "object"),
        ([True, 2], "object"),
        ([None, None], "object"),
    ],
)
def test_type_of_a_column_is_that_of_its_values(values: list[Any], dtype: str) -> None:
    assert str(as_series(values, pd.RangeIndex(len(values))).dtype) == dtype


def test_choices_keep_their_types(tmp_path: Path) -> None:
    space = Space(Choice("flag", (True, False)), Choice("size", (8, 16)), Choice("share", (1, 0.5)))

    def train(params: dict[str, Any], run: Any) -> Any:
        yield {"iou": 1.0}

    found = run_study(
        every_ending(space=space, train=train, cost=None, limits=None), store=tmp_path, inline=True
    )
    kinds = {name: str(found.trials[f"param_{name}"].dtype) for name in ("flag", "size", "share")}
    assert kinds == {"flag": "boolean", "size": "Int64", "share": "float64"}
