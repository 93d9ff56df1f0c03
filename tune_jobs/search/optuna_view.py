"""The history as Optuna sees it: a study that reads the rows and can be asked, plotted and copied, but not
written.

`as_optuna_study` gives the very study that the sampler asks. It is a view: Optuna's storage interface over
trials that are made from `TrialRecord` values, so there is no second truth to keep in step with the store,
and a proposal that was asked for and then refused leaves no trace. To continue with Optuna itself, copy it
with ``study.add_trials`` or `optuna.copy_study`.

What Optuna sees of a trial:

==================  ==========================================================================================
completed           COMPLETE with its objective and all its reports
stopped             PRUNED with all its reports, the last one included
infeasible          PRUNED without reports, with its excess over the limits as constraints (feasible is <= 0)
failed: diverged    PRUNED without reports. TPE orders pruned trials by their last epoch first, so that with
                    its reports a late divergence would look better than an early stop; without, it is the
                    worst
failed otherwise    FAIL: says nothing about the params; samplers ignore it
unfinished          RUNNING with its reports so far; TPE keeps away from it (constant liar)
==================  ==========================================================================================

With several objectives Optuna has no reports (a step has room for one value). A completed trial is COMPLETE
with all its values. A stopped one is PRUNED with a single value, NaN, whose step is its place among the
stopped ones counted from the worst: by the epoch that it reached, then by `pareto.standings` at that epoch.
That is the order in which TPE takes pruned trials for good ones when the completed ones are too few (it looks
at the largest step first, and asks a NaN for no direction).
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from typing import Any, NoReturn

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from eml_models.errors import InvalidValueError
from tune_jobs.feasible.limits import excess_over
from tune_jobs.search.distributions import distributions_of, told_params
from tune_jobs.search.given import ToldTrial
from tune_jobs.search.history import History
from tune_jobs.search.objectives import final_point
from tune_jobs.search.pareto import standings
from tune_jobs.search.records import TrialRecord
from tune_jobs.search.shown import MAX_SHOWN, shown_trials
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Limits
from tune_jobs.study.objective import Direction
from tune_jobs.study.rows import State, TrialRow

STUDY_ID = 0
PROPOSAL_ID = -1
"""The trial id that `optuna.trial.create_trial` gives: of a proposal that is being drawn, which is no trial
yet."""

Told = tuple[TrialRecord, FrozenTrial]
"""A trial, and the trial that Optuna sees."""

TOLD_STATES = {
    State.COMPLETED: TrialState.COMPLETE,
    State.STOPPED: TrialState.PRUNED,
    State.INFEASIBLE: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
    None: TrialState.RUNNING,
}


def as_optuna_study(study: Study, history: History, sampler: BaseSampler | None = None) -> optuna.Study:
    """The study that the sampler asks, to plot, to analyse or to copy; it cannot be written."""
    return OptunaView(study).study_of(history, sampler, most=len(history.trials))


class OptunaView:
    """Makes Optuna studies of a history, and converts again only those trials that have changed since.

    The memory holds no state of the search: a trial is converted by a pure function, and is looked up
    by the identity of its frozen record.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._distributions = distributions_of(study.space)
        self._told: dict[int, Told] = {}
        self._elsewhere: list[tuple[ToldTrial, Told]] = []

    def study_of(
        self, history: History, sampler: BaseSampler | None = None, *, most: int = MAX_SHOWN
    ) -> optuna.Study:
        """The view of `history` as it is now, of at most `most` of its trials; it does not change later."""
        told = [*self._told_from_elsewhere(history), *self._trials(shown_trials(history, most=most))]
        trials = [trial for _, trial in told]
        if len(self._study.objectives) > 1:
            trials = with_places(self._study, told)
        storage = HistoryStorage(self._study, trials)
        return optuna.load_study(
            study_name=self._study.name, storage=storage, sampler=sampler, pruner=NopPruner()
        )

    def _told_from_elsewhere(self, history: History) -> list[Told]:
        """Trials of other studies, numbered below zero in the order in which they stand in the event.

        TPE weighs the trials with the highest numbers most, and `warm_start` puts the newest first.
        """
        for index, trial in enumerate(history.told):
            if index < len(self._elsewhere) and self._elsewhere[index][0] is trial:
                continue
            record = TrialRecord(
                number=-2 - index,
                trial_id=trial.end.trial_id,
                params=trial.params,
                first_started_at=trial.end.ended_at,
                reports=(trial.last_report,) if trial.last_report else (),
                end=trial.end,
                point=final_point(self._study, trial.end),
            )
            told = record, told_trial(self._study, record, self._distributions)
            self._elsewhere[index:] = [(trial, told)]
        return [told for _, told in self._elsewhere[: len(history.told)]]

    def _trials(self, records: Iterable[TrialRecord]) -> list[Told]:
        told = {}
        for record in records:
            known = self._told.get(record.number)
            if known is None or known[0] is not record:
                known = (record, told_trial(self._study, record, self._distributions))
            told[record.number] = known
        self._told = told
        return list(told.values())


def told_trial(study: Study, record: TrialRecord, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    """One trial in Optuna's words, without the place that a stopped one has among others."""
    params = told_params(distributions, record.params)
    several = len(study.objectives) > 1
    state = TrialState.PRUNED if record.diverged else TOLD_STATES[record.state]
    values = record.point if several else record.objective
    if state is TrialState.COMPLETE and values is None:
        state = TrialState.FAIL
    complete = state is TrialState.COMPLETE
    trial = FrozenTrial(
        number=record.number,
        trial_id=record.number,
        state=state,
        value=record.objective if complete and not several else None,
        values=record.point if complete and several else None,
        datetime_start=_local(record.first_started_at),
        datetime_complete=_local(record.end.ended_at) if record.end else None,
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs={"state": str(record.state), "reason": record.reason} if record.end else {},
        system_attrs={},
        intermediate_values={} if record.diverged or several else dict(record.values(study.objective.metric)),
    )
    for name, value in constraints_of(study.limits, record.end).items():
        trial.set_constraint(name, value)
    return trial


def with_places(study: Study, told: Sequence[Told]) -> list[FrozenTrial]:
    """The trials; each stopped one says its place among the stopped ones (see this module's docstring)."""
    steps = {record.number: step for step, record in enumerate(_worst_first(study, told), start=1)}
    trials = []
    for record, trial in told:
        if record.number in steps:
            trial = copy.copy(trial)
            trial.intermediate_values = {steps[record.number]: math.nan}
        trials.append(trial)
    return trials


def _worst_first(study: Study, told: Sequence[Told]) -> list[TrialRecord]:
    """The stopped trials, the best last. A trial without a last value is the worst of its epoch."""
    by_epoch: dict[int, list[TrialRecord]] = defaultdict(list)
    for record, _ in told:
        if record.state is State.STOPPED:
            by_epoch[record.last_epoch].append(record)
    ordered: list[TrialRecord] = []
    for epoch in sorted(by_epoch):
        scored = [record for record in by_epoch[epoch] if record.point is not None]
        places = standings([record.point for record in scored if record.point], study.objectives)
        ordered += [record for record in by_epoch[epoch] if record.point is None]
        ranked = sorted(zip(places, scored, strict=True), key=lambda pair: (pair[0], pair[1].number))
        ordered += [record for _, record in reversed(ranked)]
    return ordered


def constraints_of(limits: Limits, row: TrialRow | None) -> dict[str, float]:
    """The excess of a network over each limit, as a share of the limit; 0 or less is within it.

    A proposal that was refused although no number here shows why counts as twice the limit.
    """
    if row is None:
        return {}
    excess = excess_over(limits, macs=row.macs, parameters=row.parameters, latency_ms=row.latency_ms)
    if row.state is State.INFEASIBLE and not any(value > 0 for value in excess.values()):
        excess["refused"] = 1.0
    return excess


class HistoryStorage(BaseStorage):
    """Optuna's storage interface over one study's converted trials; the rows of the store are its only
    source.

    Safe to read from several threads, since nothing changes.
    """

    def __init__(self, study: Study, trials: Sequence[FrozenTrial]) -> None:
        self._name = study.name
        self._directions = [
            StudyDirection.MAXIMIZE if objective.direction is Direction.MAXIMIZE else StudyDirection.MINIMIZE
            for objective in study.objectives
        ]
        self._trials = list(trials)
        self._by_id = {trial.number: trial for trial in trials}

    def get_study_id_from_name(self, study_name: str) -> int:
        if study_name != self._name:
            raise KeyError(f"this view holds study {self._name!r}, not {study_name!r}")
        return STUDY_ID

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return list(self._directions)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._by_id[trial_id]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._trials if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """TPE notes a joint draw at the trial being drawn, for other processes to see; here a row says it."""
        if trial_id != PROPOSAL_ID:
            _refuse()

    def get_all_studies(self) -> NoReturn:
        raise InvalidValueError(f"this view holds one study: load it by its name, {self._name!r}")

    def create_new_study(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def delete_study(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def set_study_user_attr(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def set_study_system_attr(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def create_new_trial(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def set_trial_param(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def set_trial_state_values(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def set_trial_intermediate_value(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def set_trial_user_attr(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()


def _refuse() -> NoReturn:
    raise InvalidValueError(
        "this Optuna study is a view of a store's rows and cannot be written;"
        " copy it into a study of your own with other.add_trials(study.trials)"
    )


def _local(at: datetime) -> datetime:
    """Optuna's instants are local and without a zone."""
    return at.astimezone().replace(tzinfo=None)
