"""Columns for metrics of own training, in SQL and in frames: names, types, and names that collide."""

from __future__ import annotations

from typing import Any

import pytest

from tune_jobs import Choice, Float, Maximize, Space, Study, TrialStore
from tune_jobs.session.state_machine import Session
from tune_jobs.store.columns.metrics import metric_columns, metric_kinds
from tune_jobs.store.writer import StudyWriter
from tune_jobs.testing.in_process import own_reports, play


def train(params: dict[str, Any], run: Any) -> Any:
    for epoch in range(1, run.epochs + 1):
        yield {"iou": params["lr"] * epoch, "dice.mean": 1, "number": 5.5, "Objective": "best", "flag": True}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrialStore:
    study = Study(
        name="cells",
        space=Space(Float("lr", 0.1, 1.0), Choice("depth", (2, 3))),
        train=train,
        objectives=(Maximize("iou"),),
        epochs=3,
        trials=2,
        asha=None,
    )
    path = tmp_path_factory.mktemp("store")
    with StudyWriter.open(path, study, versions={}) as log:
        play(Session(study, log), own_reports(study))
    return TrialStore(path)


def test_queries_and_frames_have_a_typed_column_for_each_metric(store: TrialStore) -> None:
    columns = ["iou", "dice.mean", "metric_number", "metric_Objective", "flag"]
    quoted = ", ".join(f'"{column}"' for column in columns)
    for table in ("reports", "trials"):
        queried = store.sql(
            f"select {quoted} from {table} order by trial_id, epochs"
            if table == "trials"
            else f"select {quoted} from {table} order by trial_id, epoch"
        )
        frame = getattr(store, table)("cells").sort_values(["trial_id", "seq"])[columns]
        assert queried.to_dict("list") == frame.to_dict("list")
        assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "float64", "str", "boolean"]
        assert set(queried["metric_Objective"]) == {"best"}


def test_plain_readers_have_all_metrics_as_json(store: TrialStore) -> None:
    found = store.sql("select max(cast(metrics ->> '$.iou' as double)) as iou from reports")
    assert found["iou"][0] == store.trials("cells")["objective"].max()


def test_a_name_that_a_table_has_gets_a_prefix_and_case_alone_makes_no_column() -> None:
    assert metric_columns(["Epoch", "iou", "IoU", "metrics"]) == {
        "Epoch": "metric_Epoch",
        "iou": "iou_caps0",
        "IoU": "IoU_caps1_3",
        "metrics": "metric_metrics",
    }
    assert metric_columns(["param_lr"], taken_too=["param_lr"]) == {"param_lr": "metric_param_lr"}


@pytest.mark.parametrize(
    ("texts", "kinds"),
    [
        (['{"a":1}', '{"a":0.5}'], {"a": "double"}),
        (['{"a":1}'], {"a": "double"}),
        (['{"a":true}', '{"a":null}'], {"a": "bool"}),
        (['{"a":true}', '{"a":1}'], {"a": "string"}),
        (['{"a":"x"}', '{"b":1}'], {"a": "string", "b": "double"}),
        (['{"a":null}'], {"a": "double"}),
    ],
)
def test_kinds(texts: list[str], kinds: dict[str, str]) -> None:
    assert metric_kinds(texts) == kinds
