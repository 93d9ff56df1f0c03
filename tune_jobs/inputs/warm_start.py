"""The trials of another study from which a new study can learn: ``--warm-start``.

Reads rows and writes none; a session records the chosen trials. Called by `tune_jobs.session`, and by
`tune_jobs.cli` for a dry run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.wording import count_of
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.limits import refusal, too_slow
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.feasible.own_cost import OwnCost, cost_of_trial, recipe_of_trial
from tune_jobs.search.given import MAX_SOURCE_TRIALS, SourceTrial
from tune_jobs.search.objectives import cost_of
from tune_jobs.store.files.protocol import is_same_store
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.definition import Study
from tune_jobs.study.events import WarmStarted, detail_of
from tune_jobs.study.json_fields import objectives_from_json, params_from_json
from tune_jobs.study.objective import COSTS, LATENCY, Objective
from tune_jobs.study.parameters import Constant, Params
from tune_jobs.study.rows import (
    EventRow,
    Failure,
    ReportRow,
    Row,
    StartRow,
    State,
    TrialRow,
    as_json_text,
    own_numbers,
)
from tune_jobs.study.stored import objectives_of

SEPARATOR = "::"
"""Stands between a store and a study's name; a path may hold single colons."""

LEARNED_STATES = (State.COMPLETED, State.STOPPED, State.INFEASIBLE)
"""States from which a sampler can learn about a trial's params. It learns from a failure only if the trial
diverged."""

OUTSIDE = "with params outside this space"
REFUSED_THERE = "refused by a limit that this study does not have"
ANOTHER = "choose another study to warm-start from"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A study to learn from, and its trials that fit the new study.

    Attributes:
        origin: the words that name it, ``NAME`` or ``STORE::NAME``.
        left_out: the number of its other trials, by the reason in words.
    """

    origin: str
    trials: tuple[SourceTrial, ...]
    left_out: Mapping[str, int]

    def describe(self, rows: Iterable[Row]) -> str:
        """One line: how many trials a study with these rows learns from, and why not from the others."""
        if has_learned_from(self.origin, rows):
            return (
                f"warm start: this study has learned from {self.origin!r} in an earlier run, and does so once"
            )
        given = f"{count_of(len(self.trials), 'trial')} of {self.origin!r} given to the sampler"
        left_out = "; ".join(f"{count:,} left out, {why}" for why, count in self.left_out.items())
        return f"warm start: {given}{f'; {left_out}' if left_out else ''}"


def read_source(study: Study, text: str, *, store: str) -> Source:
    """The trials of the study that `text` names (``NAME`` or ``STORE::NAME``).

    Raises:
        InvalidValueError: it is this study itself, only one of the two trains by its own function, it has
            other objectives, or none of its trials fits.
        UnknownNameError: the store holds no such study.
        StoreMissingError: there is no store.
    """
    other, separator, name = text.rpartition(SEPARATOR)
    where = other if separator else store
    if name == study.name and is_same_store(where, store):
        raise InvalidValueError(
            f"study {name!r} cannot warm-start from itself; it knows its own trials, so name another study"
        )
    known = TrialStore(where).read(name)
    definition = known.definition
    if (definition["train"] is None) != (study.train is None):
        raise InvalidValueError(_other_kind(study, text, definition["train"]))
    searched = objectives_of(definition)
    theirs = [objective.metric for objective in searched]
    if turned := [mine.metric for mine in study.objectives for one in searched if _is_opposite(mine, one)]:
        raise InvalidValueError(
            f"warm start needs the same objectives: {text!r} searches {turned[0]} in the other direction;"
            f" {ANOTHER}"
        )
    if theirs[0] != study.objective.metric or not set(study.metrics) <= set(theirs):
        raise InvalidValueError(
            f"warm start needs the same objectives: {text!r} searches {', '.join(theirs)}, and this study"
            f" {', '.join(objective.metric for objective in study.objectives)}; {ANOTHER}"
        )
    latency = definition["latency"]
    same_latency = latency == study.definition()["latency"]
    if LATENCY in study.metrics and not same_latency:
        raise InvalidValueError(
            f"warm start needs the same objectives: {text!r} measures latency as {latency}, and this study as"
            f" {study.definition()['latency']}; {ANOTHER}"
        )
    chosen, left_out = choose_source_trials(study, known.rows, same_latency=same_latency)
    if not chosen:
        why = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items()) or "it has none"
        raise InvalidValueError(
            f"no trial of {text!r} can be learned from: {why}. Params must be of this space"
            f" ({', '.join(study.space.names)}); {ANOTHER}"
        )
    return Source(origin=text, trials=tuple(chosen), left_out=left_out)


def _other_kind(study: Study, text: str, train: str | None) -> str:
    """Why a recipe and own training do not learn from each other."""
    kinds = {True: "a recipe", False: "its own function"}
    return (
        f"warm start needs params of the same meaning: {text!r} trains by {kinds[train is None]}, and"
        f" this study by {kinds[study.train is None]}, which may mean another thing by the same name; try"
        " good points of the other study first, with --enqueue"
    )


def _is_opposite(mine: Objective, other: Objective) -> bool:
    return mine.metric == other.metric and mine.direction is not other.direction


def has_learned_from(origin: str, rows: Iterable[Row]) -> bool:
    """Whether a study with these rows has learned from that origin before. It does so once."""
    details = (detail_of(row) for row in rows if isinstance(row, EventRow))
    return any(isinstance(detail, WarmStarted) and detail.origin == origin for detail in details)


def choose_source_trials(
    study: Study, rows: Iterable[Row], *, same_latency: bool = False
) -> tuple[list[SourceTrial], dict[str, int]]:
    """The trials that fit the study's space, the newest first, and the numbers left out by reason.

    A trial fits if its params, without those that this space does not have, are a point of the space. A param
    that this space fixes must have had the same value, because results of another value say nothing about
    it; if the other study had no such param, the value of this space is taken. Of the failed trials, those
    that diverged count. At most `MAX_SOURCE_TRIALS` trials are chosen: the best half and the newest half.

    The costs of a trial are computed again, because the same params make another network on another data
    set, or as a share of another limit, and own training has a function for them. A refused proposal fits if
    this study's own limits refuse it too.

    Args:
        same_latency: whether the other study measured latency in the mode of this study, so that its times
            count here.
    """
    reports: dict[int, ReportRow] = {}
    ends: list[TrialRow] = []
    numbers: set[int] = set()
    num_failed = 0
    for row in rows:
        if isinstance(row, StartRow | TrialRow):
            numbers.add(row.number)
        if isinstance(row, TrialRow) and (row.state in LEARNED_STATES or row.failure is Failure.DIVERGED):
            ends.append(row)
        elif isinstance(row, TrialRow):
            num_failed += 1
        elif isinstance(row, ReportRow):
            last = reports.get(row.number)
            reports[row.number] = row if last is None or row.epoch > last.epoch else last
    fitting = [
        SourceTrial(params=params, end=end, last_report=reports.get(end.number))
        for end in ends
        if (params := _fitting(study, end)) is not None
    ]
    here = partial(_as_here, study, same_latency=same_latency)
    known = [t for t in fitting if t.end.state is not State.INFEASIBLE or _is_refused(study, here(t))]
    best_and_newest = _best_and_newest(study, known)
    chosen = [adapted for trial in reversed(best_and_newest) if (adapted := here(trial)) is not None]
    left_out = {
        OUTSIDE: len(ends) - len(fitting) + len(best_and_newest) - len(chosen),
        REFUSED_THERE: len(fitting) - len(known),
        f"beyond the {MAX_SOURCE_TRIALS} best and newest": len(known) - len(best_and_newest),
        "failed": num_failed,
        "not ended": len(numbers) - len(ends) - num_failed,
    }
    return chosen, {why: count for why, count in left_out.items() if count}


def _fitting(study: Study, end: TrialRow) -> Params | None:
    names = set(study.space.names)
    known = {name: value for name, value in params_from_json(end.params).items() if name in names}
    constants = {p.name: p.value for p in study.space.parameters if isinstance(p, Constant)}
    point = {**constants, **known}
    applying = {p.name for p in study.space.active(point)}
    try:
        return study.space.validated({n: v for n, v in point.items() if n in known or n in applying})
    except InvalidValueError:
        return None


def _as_here(study: Study, trial: SourceTrial, *, same_latency: bool) -> SourceTrial | None:
    """The trial with the costs of its network in this study; None if this study has no such network."""
    if study.recipe is None:
        return _as_own_here(study, trial)
    try:
        cost = count_cost(resolve_recipe(study, trial.params, 0))
    except InvalidValueError:
        return None
    stored = objectives_from_json(trial.end.objectives)
    end = replace(
        trial.end,
        **{name: getattr(cost, name) for name in COSTS},
        latency_ms=trial.end.latency_ms if same_latency else None,
        objectives=as_json_text({name: stored[name] for name in study.metrics if name in stored}),
    )
    return replace(trial, end=_refused_here(study, end))


def _as_own_here(study: Study, trial: SourceTrial) -> SourceTrial:
    """The trial of own training with the costs that this study computes.

    Raises:
        InvalidValueError: this study's function of costs raises.
    """
    cost = cost_of_trial(study, recipe_of_trial(study, trial.params, 0))
    assert isinstance(cost, OwnCost)
    values = {**objectives_from_json(trial.end.objectives), **cost.values}
    has_value, first = trial.end.objective is not None, study.objective.metric
    columns: dict[str, Any] = cost.columns()  # each has the type of its column
    end = replace(
        trial.end,
        **columns,
        metrics=as_json_text(cost.values),
        objective=values.get(first, trial.end.objective) if has_value else None,
        objectives=as_json_text({n: values[n] for n in study.metrics if n in values} if has_value else {}),
    )
    report = trial.last_report
    if report is not None:
        report = replace(report, metrics=as_json_text({**own_numbers(report.metrics), **cost.values}))
    return replace(trial, end=_refused_here(study, end), last_report=report)


def _refused_here(study: Study, end: TrialRow) -> TrialRow:
    """The end of a refused trial, with the reason for which this study refuses it, if it does."""
    if end.state is not State.INFEASIBLE:
        return end
    return replace(end, reason=_refusal(study, end) or end.reason)


def _is_refused(study: Study, trial: SourceTrial | None) -> bool:
    return trial is not None and _refusal(study, trial.end) is not None


def _refusal(study: Study, end: TrialRow) -> str | None:
    """The reason for which this study's limits refuse the network of a row with its costs here, or None."""
    cost = cost_of(end) if study.recipe is not None else OwnCost(values=own_numbers(end.metrics))
    assert cost is not None
    return refusal(study, cost) or too_slow(study, end.latency_ms)


def _best_and_newest(study: Study, trials: list[SourceTrial]) -> list[SourceTrial]:
    if len(trials) <= MAX_SOURCE_TRIALS:
        return trials
    sign = study.objective.direction.sign

    def key(trial: SourceTrial) -> tuple[bool, float]:
        value = trial.end.objective
        return value is None, sign * (value or 0.0)

    best = {id(trial) for trial in sorted(trials, key=key)[: MAX_SOURCE_TRIALS // 2]}
    rest = [trial for trial in trials if id(trial) not in best][-(MAX_SOURCE_TRIALS - len(best)) :]
    newest = {id(trial) for trial in rest}
    return [trial for trial in trials if id(trial) in best or id(trial) in newest]
