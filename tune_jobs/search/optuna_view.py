"""The history as an Optuna study, which can be asked, plotted and copied, but not written.

`as_optuna_study` gives the same study that the sampler asks. It is a view: Optuna's storage interface over
trials that are made from `TrialRecord` values. There is therefore no second truth to keep in step with the
store, and a proposal that is drawn and then refused leaves no trace in it. To continue with Optuna itself,
copy it with ``study.add_trials`` or `optuna.copy_study`.

Optuna sees a trial as follows:

==================  ==========================================================================================
completed           COMPLETE with its objective and all its reports
stopped             PRUNED with all its reports, the last one included
infeasible          PRUNED without reports, with its excess over the limits as constraints (feasible is <= 0)
failed: diverged    PRUNED without reports. TPE orders pruned trials by their last epoch first: with its
                    reports, a late divergence would look better than an early stop; without them it is the
                    worst
failed otherwise    FAIL: shows nothing about the params; samplers ignore it
unfinished          RUNNING with its reports so far; TPE keeps away from it (constant liar)
==================  ==========================================================================================

With several objectives Optuna sees no reports (a step has room for one value). A completed trial is COMPLETE
with all its values. A stopped trial is PRUNED with a single value, NaN. The step of this value is the trial's
place among the stopped trials, counted from the worst: by the last epoch, then by `pareto.standings` at that
epoch. In this order TPE counts pruned trials as good when the completed trials are too few (it looks at the
largest step first, and a NaN needs no direction).
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
from tune_jobs.search.distributions import distributions_of, params_in
from tune_jobs.search.given import SourceTrial
from tune_jobs.search.history import History
from tune_jobs.search.objectives import final_point
from tune_jobs.search.pareto import standings
from tune_jobs.search.records import TrialRecord
from tune_jobs.search.shown import MAX_SHOWN, shown_trials
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Limits
from tune_jobs.study.objective import Direction
from tune_jobs.study.rows import State, TrialRow, own_numbers

STUDY_ID = 0
PROPOSAL_ID = -1
"""The id that `optuna.trial.create_trial` gives to a proposal while it is drawn."""

Converted = tuple[TrialRecord, FrozenTrial]
"""A trial, and the same trial as Optuna sees it."""

OPTUNA_STATES = {
    State.COMPLETED: TrialState.COMPLETE,
    State.STOPPED: TrialState.PRUNED,
    State.INFEASIBLE: TrialState.PRUNED,
    State.FAILED: TrialState.FAIL,
    None: TrialState.RUNNING,
}


def as_optuna_study(study: Study, history: History, sampler: BaseSampler | None = None) -> optuna.Study:
    """The study that the sampler asks; it can be plotted, analysed and copied, but not written."""
    return OptunaView(study).study_of(history, sampler, most=len(history.trials))


class OptunaView:
    """Makes Optuna studies of a history, and converts again only the trials that have changed since.

    Its memory of converted trials holds no state of the search: a pure function converts a trial, and the
    identity of the frozen record finds it again.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._distributions = distributions_of(study.space)
        self._converted: dict[int, Converted] = {}
        self._elsewhere: list[tuple[SourceTrial, Converted]] = []

    def study_of(
        self, history: History, sampler: BaseSampler | None = None, *, most: int = MAX_SHOWN
    ) -> optuna.Study:
        """A view of at most `most` trials of `history`. It does not change with the history."""
        converted = [*self._from_elsewhere(history), *self._trials(shown_trials(history, most=most))]
        trials = [trial for _, trial in converted]
        if len(self._study.objectives) > 1:
            trials = with_places(self._study, converted)
        storage = HistoryStorage(self._study, trials)
        return optuna.load_study(
            study_name=self._study.name, storage=storage, sampler=sampler, pruner=NopPruner()
        )

    def _from_elsewhere(self, history: History) -> list[Converted]:
        """The trials of other studies, numbered below zero in the order of the event.

        TPE gives the trials with the highest numbers the most weight, and `tune_jobs.inputs.warm_start` puts
        the newest first.
        """
        for index, trial in enumerate(history.source_trials):
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
            converted = record, convert_trial(self._study, record, self._distributions)
            self._elsewhere[index:] = [(trial, converted)]
        return [converted for _, converted in self._elsewhere[: len(history.source_trials)]]

    def _trials(self, records: Iterable[TrialRecord]) -> list[Converted]:
        converted = {}
        for record in records:
            known = self._converted.get(record.number)
            if known is None or known[0] is not record:
                known = (record, convert_trial(self._study, record, self._distributions))
            converted[record.number] = known
        self._converted = converted
        return list(converted.values())


def convert_trial(
    study: Study, record: TrialRecord, distributions: dict[str, BaseDistribution]
) -> FrozenTrial:
    """A trial as Optuna's trial, without the place of a stopped trial among the others."""
    params = params_in(distributions, record.params)
    several = len(study.objectives) > 1
    state = TrialState.PRUNED if record.diverged else OPTUNA_STATES[record.state]
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


def with_places(study: Study, converted: Sequence[Converted]) -> list[FrozenTrial]:
    """The trials, each stopped one with its place among the stopped trials (see this module's docstring)."""
    steps = {record.number: step for step, record in enumerate(_worst_first(study, converted), start=1)}
    trials = []
    for record, trial in converted:
        if record.number in steps:
            trial = copy.copy(trial)
            trial.intermediate_values = {steps[record.number]: math.nan}
        trials.append(trial)
    return trials


def _worst_first(study: Study, converted: Sequence[Converted]) -> list[TrialRecord]:
    """The stopped trials, the best last. A trial without a last value is the worst of its epoch."""
    by_epoch: dict[int, list[TrialRecord]] = defaultdict(list)
    for record, _ in converted:
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

    An infeasible trial that exceeds none of these limits counts as twice a limit.
    """
    if row is None:
        return {}
    excess = excess_over(
        limits,
        macs=row.macs,
        parameters=row.parameters,
        latency_ms=row.latency_ms,
        own=own_numbers(row.metrics),
    )
    if row.state is State.INFEASIBLE and not any(value > 0 for value in excess.values()):
        excess["refused"] = 1.0
    return excess


class HistoryStorage(BaseStorage):
    """Optuna's storage interface over the converted trials of one study. Read-only.

    Several threads may read it at once, since nothing changes.
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
        """Ignore TPE's note at the proposal, which is meant for other processes; refuse all others."""
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
