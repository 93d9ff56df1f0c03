"""Inputs of a search from outside: points to try first, and trials of other studies to learn from.

Both reach the study as rows (events, `tune_jobs.study.events`), so that every later proposal remains a
function of the rows. `history` folds the events, `queue` proposes the points, and `optuna_view` converts the
trials for Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.study.events import TrialElsewhere, WarmStarted
from tune_jobs.study.objective import METRICS
from tune_jobs.study.parameters import Constant, Params
from tune_jobs.study.rows import ReportRow, TrialRow, as_json_text
from tune_jobs.study.space import Space

MAX_SOURCE_TRIALS = 250
"""A search learns from at most this many trials of another study. More would make each proposal slower and
hardly better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTrial:
    """A trial of another study, reduced to the values that a sampler learns from.

    Attributes:
        end: the row of its end, with the cost of its network in the study that learns. Of own training its
            `metrics` hold these costs alone.
        last_report: its last report; None if it has none.
    """

    params: Params
    end: TrialRow
    last_report: ReportRow | None


def check_point(space: Space, params: Mapping[str, object]) -> Params:
    """A point with the space's own types. A parent whose value follows from the point is added to it.

    A parent that is left out would be drawn, and another value of it might exclude the parameter that the
    point names.

    Raises:
        InvalidValueError: names all problems: unknown names, values out of range, and parameters that apply
            only under a value of another parameter that the point lacks or contradicts.
    """
    problems = [
        f"{n}: not in this space; known: {', '.join(space.names)}" for n in params if n not in space.names
    ]
    params, open_conditions = _with_conditions(space, params)
    problems += open_conditions
    point: Params = {}
    for parameter in space.parameters:
        if parameter.name not in params:
            if isinstance(parameter, Constant):
                point[parameter.name] = parameter.value
            continue
        value = params[parameter.name]
        value = tuple(value) if isinstance(value, list) else value
        if (problem := parameter.problem_of(value)) is not None:
            problems.append(f"{parameter.name} {problem}")
            continue
        point[parameter.name] = parameter.canonical(value)  # type: ignore[arg-type]  # problem_of checked it
        when = parameter.when
        if when is not None and when.parameter in point and not when.holds(point):
            problems.append(
                f"{parameter.name} applies only where {when.parameter} is one of {list(when.values)}, got"
                f" {point[when.parameter]!r}"
            )
    if problems:
        raise InvalidValueError("; ".join(problems))
    return {name: value for name, value in point.items() if name in params}


def _with_conditions(space: Space, params: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """The params with each parent whose value follows from them; a problem for each that may have several."""
    whole, problems = dict(params), []
    for parameter in reversed(space.parameters):  # a parent comes before the parameters that depend on it
        when = parameter.when
        if parameter.name not in whole or when is None or when.parameter in whole:
            continue
        if isinstance(space[when.parameter], Constant):
            continue
        if len(when.values) == 1:
            whole[when.parameter] = when.values[0]
        else:
            values = list(when.values)
            problems.append(
                f"{parameter.name} applies only where {when.parameter} is one of {values}; give"
                f" {when.parameter} too"
            )
    return whole, problems


def as_event(origin: str, trials: Sequence[SourceTrial], *, metric: str) -> WarmStarted:
    """The event of a warm start; `metric` is the study's first objective."""
    return WarmStarted(origin=origin, trials=tuple(_as_elsewhere(trial, metric) for trial in trials))


def source_trials_of(event: WarmStarted, *, metric: str, at: datetime) -> list[SourceTrial]:
    """The trials of an event that happened `at`, with rows like those of the study's own trials."""
    return [_from_elsewhere(trial, metric, at) for trial in event.trials]


def _as_report(metric: str, value: float | None) -> dict[str, Any]:
    """The column of a report that holds a metric: its own, or that of all metrics of own training.

    Own training may call a metric as a column of another meaning is called (``number``).
    """
    if metric in METRICS:
        return {metric: value}
    return {} if value is None else {"metrics": as_json_text({metric: value})}


def _as_elsewhere(trial: SourceTrial, metric: str) -> TrialElsewhere:
    end, report = trial.end, trial.last_report
    return TrialElsewhere(
        trial_id=end.trial_id,
        number=end.number,
        params=trial.params,
        state=end.state,
        reason=end.reason,
        failure=end.failure,
        objective=end.objective,
        objectives=end.objectives,
        costs=None if end.metrics == "{}" else end.metrics,
        macs=end.macs,
        parameters=end.parameters,
        activations=end.activations,
        traffic_bytes=end.traffic_bytes,
        latency_ms=end.latency_ms,
        epoch=report.epoch if report else None,
        value=report.value(metric) if report else None,
    )


def _from_elsewhere(trial: TrialElsewhere, metric: str, at: datetime) -> SourceTrial:
    study = trial.trial_id.rpartition("/")[0]
    end = TrialRow(
        study=study,
        trial_id=trial.trial_id,
        number=trial.number,
        attempt=1,
        state=trial.state,
        reason=trial.reason,
        failure=trial.failure,
        objective=trial.objective,
        objectives=trial.objectives,
        metrics=trial.costs or "{}",
        macs=trial.macs,
        parameters=trial.parameters,
        activations=trial.activations,
        traffic_bytes=trial.traffic_bytes,
        latency_ms=trial.latency_ms,
        params=as_json_text(trial.params),
        seed=0,
        ended_at=at,
    )
    report = None
    if trial.epoch is not None:
        report = ReportRow(
            study=study,
            trial_id=trial.trial_id,
            number=trial.number,
            attempt=1,
            epoch=trial.epoch,
            reported_at=at,
            **_as_report(metric, trial.value),
        )
    return SourceTrial(params=trial.params, end=end, last_report=report)
