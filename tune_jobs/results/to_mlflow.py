"""A callback that logs a study to MLflow: a run per trial in an experiment of the study's name.

Needs the package mlflow-skinny (or mlflow). It talks to a server through MLflow's client alone, which no
thread owns, so that the runs of trials that train at a time stay separate.
"""

from __future__ import annotations

import posixpath
import re
import time
from typing import Any

from tune_jobs.errors import TuneJobsError
from tune_jobs.results.callbacks import Report, as_numbers
from tune_jobs.results.of_study import Results
from tune_jobs.results.one_trial import TrialResult
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import State, trial_id

ENDINGS = {
    State.COMPLETED: "FINISHED",
    State.STOPPED: "FINISHED",
    State.INFEASIBLE: "KILLED",
    State.FAILED: "FAILED",
}
"""MLflow's status of a run by our state; the tag ``tune_jobs.state`` has our own word."""

REFUSED = re.compile(r"[^\w.\- :/]")
"""A character that MLflow refuses in the name of a metric."""

TRIAL, STATE, REASON = "tune_jobs.trial", "tune_jobs.state", "tune_jobs.reason"


class MLflow:
    """Logs each trial as a run: its params, its metrics by epoch, and tags with its state and the reason.

    A trial that is continued after a kill continues its run.

    A character that MLflow refuses in the name of a metric becomes ``_`` there.

    Args:
        tracking_uri: the server or folder; None for MLflow's own default (``MLFLOW_TRACKING_URI``).
        experiment: its name; None for that of the study.

    Raises:
        TuneJobsError: MLflow is not installed.
    """

    def __init__(self, tracking_uri: str | None = None, *, experiment: str | None = None) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise TuneJobsError("MLflow needs a package: pip install 'tune-jobs[mlflow]'") from error
        self._client: Any = MlflowClient(tracking_uri)
        self._experiment = experiment
        self._study = self._experiment_id = ""
        self._runs: dict[int, str] = {}

    def on_start(self, study: Study) -> None:
        name = self._experiment or study.name
        known = self._client.get_experiment_by_name(name)
        self._experiment_id = known.experiment_id if known else self._client.create_experiment(name)
        self._study = study.name

    def on_report(self, report: Report) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [
            Metric(mlflow_name(name), value, now_ms, report.epoch)
            for name, value in as_numbers(report.metrics).items()
        ]
        self._client.log_batch(self._run(report.number, report.params), metrics=metrics)

    def on_trial_end(self, trial: TrialResult) -> None:
        run = self._run(trial.number, trial.params)
        self._client.set_tag(run, STATE, str(trial.state))
        self._client.set_tag(run, REASON, trial.reason)
        self._client.set_terminated(run, ENDINGS[trial.state])
        del self._runs[trial.number]

    def on_end(self, results: Results) -> None:
        """Runs of unfinished trials stay open: the next run of the study continues them."""
        self._runs.clear()

    def _run(self, number: int, params: Params) -> str:
        if number not in self._runs:
            name = trial_id(self._study, number)
            self._runs[number] = self._open(name) or self._create(name, params)
        return self._runs[number]

    def _open(self, name: str) -> str | None:
        """The run of a trial that a kill left open."""
        rule = f"tags.`{TRIAL}` = '{name}' and attributes.status = 'RUNNING'"
        found = self._client.search_runs([self._experiment_id], rule, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _create(self, name: str, params: Params) -> str:
        from mlflow.entities import Param

        run = self._client.create_run(self._experiment_id, run_name=name, tags={TRIAL: name})
        given = [Param(param, str(value)) for param, value in params.items()]
        self._client.log_batch(run.info.run_id, params=given)
        return str(run.info.run_id)


def mlflow_name(metric: str) -> str:
    """The name of a metric as MLflow takes it; a name with slashes must be a plain relative path."""
    name = REFUSED.sub("_", metric)
    normal = posixpath.normpath(name)
    is_plain = normal == name and normal != "." and not normal.startswith(("..", "/"))
    return name if is_plain else "_" + name.replace("/", "_")
