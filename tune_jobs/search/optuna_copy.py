"""A study and its trials as a study of Optuna in memory, for people who know Optuna's plots and importances.

`optuna_view` is what our own sampler asks, in an encoding that makes TPE learn from every trial. This copy
says what happened instead:

=============  ===============================================================================================
completed      COMPLETE with its objectives
stopped        PRUNED
infeasible     PRUNED; its constraints are above 0. Optuna has no state for a trial that a limit refused
failed         FAIL, also if it diverged
unfinished     RUNNING
=============  ===============================================================================================

Every trial has its params, their distributions, its number, the instants of its start and end (local and
without a zone, as Optuna's are), the excess over each limit as a constraint (0 or less is feasible), and the
first objective of each of its epochs as intermediate values. Its user attributes hold our state, the reason,
the kind of failure, the costs that are known, and the last numbers of own training. With several objectives
Optuna draws no intermediate values, but they are there. Called by `tune_jobs.results.of_study`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tune_jobs.search.distributions import distributions_of
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import convert_trial
from tune_jobs.search.records import TrialRecord
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import COSTS, LATENCY, Direction
from tune_jobs.study.rows import Row, State, own_numbers

DIRECTIONS = {
    Direction.MAXIMIZE: StudyDirection.MAXIMIZE,
    Direction.MINIMIZE: StudyDirection.MINIMIZE,
}

OURS = {name: f"metric_{name}" for name in ("number", "state", "reason", "failure")}
"""User attributes that are ours; a number of own training with such a name has the other name."""

OptunaStudy = optuna.Study
"""The type, for modules that do not import Optuna."""


def optuna_copy(study: Study, rows: Sequence[Row]) -> OptunaStudy:
    """A study of Optuna in memory with the trials of these rows, in the order of their numbers.

    It is a copy: what is done to it changes no store.
    """
    storage = InMemoryStorage()
    with _quiet():
        storage.create_new_study([DIRECTIONS[o.direction] for o in study.objectives], study.name)
    copy = optuna.load_study(study_name=study.name, storage=storage)
    distributions = distributions_of(study.space)
    records = History.from_rows(study, rows).trials
    for number in sorted(records):
        trial = convert_trial(study, records[number], distributions)
        copy.add_trial(_as_it_was(study, records[number], trial))
    return copy


def _as_it_was(study: Study, record: TrialRecord, trial: FrozenTrial) -> FrozenTrial:
    """The converted trial with its true state and all its reports."""
    if record.state is State.FAILED:
        trial.state = TrialState.FAIL
    trial.intermediate_values = dict(record.values(study.objective.metric))
    trial.user_attrs = {**_attributes(record), "number": record.number}
    return trial


def _attributes(record: TrialRecord) -> dict[str, Any]:
    end = record.end
    if end is None:
        return {}
    own = {OURS.get(name, name): value for name, value in own_numbers(end.metrics).items()}
    found = {
        **{name: getattr(end, name) for name in (*COSTS, LATENCY)},
        **own,
        "state": str(end.state),
        "reason": end.reason,
        "failure": None if end.failure is None else str(end.failure),
    }
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing a new study on stderr, since the study has been there."""
    log = logging.getLogger(InMemoryStorage.__module__)
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
