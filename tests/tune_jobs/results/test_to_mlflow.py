"""MLflow has a run for each trial: its params, metrics, state; one continued after a kill is the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from every_ending import every_ending

from tune_jobs import MLflow, Report, Results, TuneJobsError, run_study
from tune_jobs.results.to_mlflow import mlflow_name

HAS_MLFLOW = True
try:
    import mlflow
except ImportError:
    HAS_MLFLOW = False

needs_mlflow = pytest.mark.skipif(not HAS_MLFLOW, reason="the extra mlflow is not installed")


def runs(uri: str) -> list[Any]:
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("cells")
    return list(client.search_runs([experiment.experiment_id]))


@needs_mlflow
@pytest.mark.filterwarnings("ignore")  # of MLflow and of what it imports
def test_each_trial_is_a_run(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    study = every_ending(trials=5)
    results: Results = run_study(
        study, store=tmp_path / "store", inline=True, callbacks=[MLflow(uri)], on_note=pytest.fail
    )
    found = {run.data.tags["tune_jobs.trial"]: run for run in runs(uri)}
    assert found.keys() == {f"cells/{n}" for n in results.trials["number"]}
    assert {name: run.data.tags["tune_jobs.state"] for name, run in found.items()} == {
        f"cells/{n}": state for n, state in results.trials[["number", "state"]].itertuples(index=False)
    }
    best = found[f"cells/{results.best.number}"]
    assert best.info.status == "FINISHED"
    assert best.data.metrics["iou"] == pytest.approx(results.best.value)
    assert best.data.params == {name: str(value) for name, value in results.best.params.items()}
    history = mlflow.MlflowClient(uri).get_metric_history(best.info.run_id, "iou")
    assert [metric.step for metric in history] == list(range(1, 10))


@needs_mlflow
@pytest.mark.filterwarnings("ignore")  # of MLflow and of what it imports
def test_trial_that_is_continued_continues_its_run(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for first, epochs in ((True, (1, 2)), (False, (3,))):
        callback = MLflow(uri)
        callback.on_start(every_ending())
        for epoch in epochs:
            callback.on_report(Report(number=0, epoch=epoch, params={"lr": 0.1}, metrics={"iou": 0.5}))
        assert len(runs(uri)) == 1, first


NAMES = {
    "dice.mean": "dice.mean",
    "val/loss": "val/loss",
    "top-1 (%)": "top-1 ___",
    "<b>": "_b_",
    "größe": "größe",
    "/loss": "__loss",
    "a//b": "_a__b",
    "..": "_..",
    ".": "_.",
}


@pytest.mark.parametrize("metric", NAMES)
def test_metric_of_any_name_has_one_that_mlflow_takes(metric: str) -> None:
    assert mlflow_name(metric) == NAMES[metric]


@needs_mlflow
@pytest.mark.filterwarnings("ignore")  # of MLflow and of what it imports
def test_metrics_of_any_name_are_logged(tmp_path: Path) -> None:
    callback = MLflow(f"sqlite:///{tmp_path}/mlflow.db")
    callback.on_start(every_ending())
    callback.on_report(Report(number=0, epoch=1, params={"lr": 0.1}, metrics=dict.fromkeys(NAMES, 0.5)))
    (run,) = runs(f"sqlite:///{tmp_path}/mlflow.db")
    assert run.data.metrics == dict.fromkeys(NAMES.values(), 0.5)


@pytest.mark.skipif(HAS_MLFLOW, reason="MLflow is installed")
def test_without_the_package_the_error_says_what_to_install() -> None:
    with pytest.raises(TuneJobsError, match=r"pip install 'tune-jobs\[mlflow\]'"):
        MLflow()
