"""Tidy frames of one study: its own columns alone, each with the type that its values have.

A store has the same columns for every study, so most of them are empty in the frames of `TrialStore`, which
hold all that is known. The frames here hold what a person compares: objectives, params, metrics, costs,
times and ends. Which columns there are follows from the study's definition, and for metrics of own training
from their names in the reports. Whole numbers are whole (`Int64` where a value may be missing). Called by
`of_study`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from eml_models.training.final_report import FINAL_METRICS
from tune_jobs.store.columns.metrics import PREFIX
from tune_jobs.store.columns.schema import PARAM_PREFIX
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.json_fields import objectives_from_json, params_from_json
from tune_jobs.study.objective import COSTS, LATENCY
from tune_jobs.study.stored import objectives_of

FIRST = ("number", "state")
ENDS = ("epochs", "best_epoch", "attempt", "train_s", "wall_s", "device_s", "ended_at")
WHY = ("reason", "failure", "error")
"""Columns of every frame of trials: before its values, behind them, and last."""

OF_REPORTS = ("number", "epoch")
TIMES = ("epoch_s", "elapsed_s", "decision", "decision_reason", "attempt", "reported_at")
"""Columns of every frame of reports: before the metrics, and behind them."""

SHIPPED_METRICS = (
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "samples_per_s",
    "peak_memory_bytes",
)
"""Metrics that the shipped training reports after each epoch."""


def trials_frame(known: StudySnapshot) -> pd.DataFrame:
    """A row per ended trial, by number: objectives, ``param_NAME`` for each parameter, costs, times, end."""
    stored = known.trials.sort_values("number", ignore_index=True)
    definition = known.definition
    columns: dict[str, Any] = {name: stored[name] for name in FIRST}
    taken = {*FIRST, *ENDS, *WHY}
    if definition["train"] is None:
        columns |= _objectives(stored, definition)
        columns |= _params(stored["params"], definition)
        for name in _shipped_results(definition):
            columns.setdefault(name, stored[name])
        columns["peak_memory_bytes"] = stored["peak_memory_bytes"]
    else:
        objectives = [objective.metric for objective in objectives_of(definition)]
        metrics = _own_metrics(stored["metrics"], taken=taken, objectives=objectives)
        columns |= {name: metrics[name] for name in (_own_name(metric, taken) for metric in objectives)}
        columns |= _params(stored["params"], definition)
        columns |= metrics
    return pd.DataFrame(columns | {name: stored[name] for name in (*ENDS, *WHY)})


def reports_frame(known: StudySnapshot) -> pd.DataFrame:
    """A row per epoch of each trial, by number and epoch: the metrics, and the decision of a rung.

    Of an epoch that two attempts reported, the first report counts, as it does for the search.
    """
    stored = known.reports.sort_values("seq").drop_duplicates(["number", "epoch"])
    stored = stored.sort_values(["number", "epoch"], ignore_index=True)
    columns: dict[str, Any] = {name: stored[name] for name in OF_REPORTS}
    if known.definition["train"] is None:
        names = [*SHIPPED_METRICS, *_final_metrics(known.definition), *_latency(known.definition)]
        columns |= {name: stored[name] for name in names}
    else:
        objectives = [objective.metric for objective in objectives_of(known.definition)]
        columns |= _own_metrics(stored["metrics"], taken={*OF_REPORTS, *TIMES}, objectives=objectives)
    return pd.DataFrame(columns | {name: stored[name] for name in TIMES})


def as_series(values: Sequence[Any], index: pd.Index[Any]) -> pd.Series[Any]:
    """A column of values that may be missing: whole numbers, truth values, numbers, texts, else objects."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int}:
        return pd.Series(values, index=index, dtype=pd.Int64Dtype())
    if kinds == {bool}:
        return pd.Series(values, index=index, dtype=pd.BooleanDtype())
    if kinds and kinds <= {int, float}:
        return pd.Series(values, index=index, dtype="float64")
    if kinds == {str}:
        return pd.Series(values, index=index)
    return pd.Series(values, index=index, dtype=object)


def _objectives(stored: pd.DataFrame, definition: Mapping[str, Any]) -> dict[str, Any]:
    """The objectives of shipped training; a cost has a column of whole numbers."""
    texts = [objectives_from_json(text) for text in stored["objectives"]]
    found = {}
    for objective in objectives_of(definition):
        values = pd.Series([v.get(objective.metric) for v in texts], index=stored.index, dtype="float64")
        found[objective.metric] = stored[objective.metric] if objective.is_cost else values
    return found


def _params(texts: Iterable[str], definition: Mapping[str, Any]) -> dict[str, Any]:
    """The column of each parameter of the space, in its order."""
    params = [params_from_json(text) for text in texts]
    index = pd.RangeIndex(len(params))
    return {
        PARAM_PREFIX + parameter["name"]: _param(parameter, params, index)
        for parameter in definition["space"]
    }


def _param(
    parameter: Mapping[str, Any], params: Sequence[Mapping[str, Any]], index: pd.Index[Any]
) -> pd.Series[Any]:
    values = [values.get(parameter["name"]) for values in params]
    if parameter["kind"] == "float":
        return pd.Series(values, index=index, dtype="float64")
    if parameter["kind"] == "integer":
        return pd.Series(values, index=index, dtype=pd.Int64Dtype())
    return as_series(values, index)


def _own_metrics(texts: Iterable[str], *, taken: Iterable[str], objectives: Sequence[str]) -> dict[str, Any]:
    """The column of each objective of own training and of each other metric that a report holds.

    It has the metric's own name if that is free. An objective that no report holds is a column too, so that
    code for a study also runs where all trials have failed.
    """
    rows = [json.loads(text or "{}") for text in texts]
    index = pd.RangeIndex(len(rows))
    found = {name for row in rows for name in row}
    columns: dict[str, Any] = {name: pd.Series(index=index, dtype="float64") for name in objectives}
    columns |= {name: as_series([row.get(name) for row in rows], index) for name in found}
    return {_own_name(name, taken): columns[name] for name in sorted(columns)}


def _own_name(metric: str, taken: Iterable[str]) -> str:
    """The column of a metric of own training."""
    is_free = metric not in set(taken) and not metric.startswith((PARAM_PREFIX, PREFIX))
    return metric if is_free else PREFIX + metric


def _shipped_results(definition: Mapping[str, Any]) -> list[str]:
    return ["val_accuracy", *_final_metrics(definition), *COSTS, *_latency(definition)]


def _final_metrics(definition: Mapping[str, Any]) -> list[str]:
    """Metrics of the test set, which only studies of finalists have."""
    trains_on_all = definition["recipe"]["train_on"] != "train"
    named = {objective["metric"] for objective in definition["objectives"]} & FINAL_METRICS
    return sorted(FINAL_METRICS) if trains_on_all or named or definition["candidates"] else []


def _latency(definition: Mapping[str, Any]) -> list[str]:
    return [] if definition["latency"] is None else [LATENCY]
