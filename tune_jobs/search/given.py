"""What a search is given from outside: points to try first, and trials of other studies to learn from.

Both reach the study as rows (events), so that every later proposal remains a function of the rows. This
module converts them to an event's JSON and back; `history` folds the events, `queue` proposes the points, and
`optuna_view` tells the trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from eml_models.errors import InvalidValueError
from tune_jobs.json_fields import as_params, event_detail
from tune_jobs.space import Constant, Params, Space
from tune_jobs.study import COSTS, LATENCY, Study
from tune_jobs.trial import EventRow, Failure, ReportRow, State, TrialRow, as_json_text

MAX_TOLD = 250
"""Trials of another study that are told: more make each proposal dearer and hardly better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Params to try before the sampler is asked; what they leave out is drawn.

    Attributes:
        retry_of: the failed trial that it takes the place of; that one no longer counts as trained.
        first: whether it goes before all that wait. A retry does, since another point would take the place
            that it freed.
    """

    params: Params
    retry_of: int | None = None
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldTrial:
    """A trial of another study, as far as a sampler learns from it.

    Attributes:
        end: the row that ended it; what its network costs in the study that is told.
        last_report: its last report; None if it had none.
    """

    params: Params
    end: TrialRow
    last_report: ReportRow | None


def check_point(space: Space, params: Mapping[str, object]) -> Params:
    """A point with the space's own types, and the value that a parameter of it needs where there is only one.

    Else another might be drawn, which rules the parameter out: what the point says would be lost.

    Raises:
        InvalidValueError: with all problems: unknown names, values out of range, a parameter that these
            values rule out, or that depends on one that is not named.
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
    """The params with the one value under which each applies; problems where there are several."""
    whole, problems = dict(params), []
    for parameter in reversed(space.parameters):  # what a parameter depends on comes before it
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
                f"{parameter.name} applies only where {when.parameter} is one of {values}; name it"
            )
    return whole, problems


def points_as_json(points: Iterable[Point]) -> str:
    """The detail of an `ENQUEUED` event."""
    data = [{"params": p.params, "retry_of": p.retry_of, "first": p.first} for p in points]
    return as_json_text({"points": data})


def points_from_json(event: EventRow) -> list[Point]:
    """The points of an `ENQUEUED` event."""
    return [
        Point(params=as_params(point["params"]), retry_of=point["retry_of"], first=point["first"])
        for point in event_detail(event).points
    ]


def told_as_json(origin: str, told: Sequence[ToldTrial], *, metric: str) -> str:
    """The detail of a `WARM_STARTED` event."""
    return as_json_text({"from": origin, "trials": [_as_data(trial, metric) for trial in told]})


def told_from_json(study: Study, event: EventRow) -> tuple[str, list[ToldTrial]]:
    """The origin and the trials of a `WARM_STARTED` event."""
    detail = event_detail(event)
    metric = study.objective.metric
    return detail.origin, [_from_data(trial, metric, event.happened_at) for trial in detail.told]


def _as_data(trial: ToldTrial, metric: str) -> dict[str, object]:
    end, report = trial.end, trial.last_report
    return {
        "trial_id": end.trial_id,
        "number": end.number,
        "params": trial.params,
        "state": str(end.state),
        "reason": end.reason,
        "failure": end.failure,
        "objective": end.objective,
        **{name: getattr(end, name) for name in (*COSTS, LATENCY, "objectives")},
        "epoch": report.epoch if report else None,
        "value": getattr(report, metric) if report else None,
    }


def _from_data(data: Mapping[str, object], metric: str, at: datetime) -> ToldTrial:
    copied = ("trial_id", "number", "reason", "objective", *COSTS, LATENCY, "objectives")
    known = {name: data[name] for name in copied}
    study = str(data["trial_id"]).rpartition("/")[0]
    params = as_params(data["params"])
    end = TrialRow(
        study=study,
        attempt=1,
        state=State(str(data["state"])),
        failure=None if data["failure"] is None else Failure(str(data["failure"])),
        params=as_json_text(params),
        seed=0,
        ended_at=at,
        **known,  # type: ignore[arg-type]  # as they were written
    )
    report = None
    if data["epoch"] is not None:
        report = ReportRow(
            study=study,
            trial_id=end.trial_id,
            number=end.number,
            attempt=1,
            epoch=data["epoch"],  # type: ignore[arg-type]  # as it was written
            reported_at=at,
            **{metric: data["value"]},  # type: ignore[arg-type]  # as it was written
        )
    return ToldTrial(params=params, end=end, last_report=report)
