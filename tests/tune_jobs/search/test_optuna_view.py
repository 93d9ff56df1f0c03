"""The trials that Optuna sees, against Optuna's own study."""

from __future__ import annotations

import copy
import math
from datetime import timedelta
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState
from search_testing import end, history_of, make_study, numbered, report, simulate, start
from session_testing import (
    Clock,
    MemoryLog,
    a_session,
    a_study,
    play,
)
from two_objectives import played_front, two_objectives

from eml_models.errors import InvalidValueError
from tune_jobs.inputs.warm_start import choose_source_trials
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import OptunaView, as_optuna_study, constraints_of
from tune_jobs.search.pareto import standings
from tune_jobs.session.state_machine import Session
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha, Limits
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import Failure, ReportRow, Row, State

STUDY = make_study(limits=Limits(max_macs=100, min_macs=10, max_parameters=1000))
PARAMS: Params = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "dropout": 0.3,
    "width": 8,
    "batch_size": 32,
    "only": "one",
    "fixed": (1, 2),
}
TOLD = {name: value for name, value in PARAMS.items() if name != "fixed"}


def as_seen(*rows: Row) -> FrozenTrial:
    (trial,) = as_optuna_study(STUDY, history_of(STUDY, *rows)).trials
    return trial


def facts(trials: list[FrozenTrial]) -> list[dict[str, Any]]:
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "value": trial.value,
            "params": trial.params,
            "distributions": trial.distributions,
            "reports": trial.intermediate_values,
            "constraints": trial.constraints,
            "attrs": trial.user_attrs,
            "began": trial.datetime_start,
            "ended": trial.datetime_complete,
        }
        for trial in trials
    ]


def test_a_completed_trial_is_complete() -> None:
    ended = end(0, State.COMPLETED, PARAMS, objective=0.7, macs=80, parameters=500)
    trial = as_seen(start(0, PARAMS), report(0, 1, 0.5), report(0, 2, 0.7), ended)
    assert (trial.state, trial.value, trial.params) == (TrialState.COMPLETE, 0.7, TOLD)
    assert trial.intermediate_values == {1: 0.5, 2: 0.7}
    assert trial.constraints == pytest.approx({"max_macs": -0.2, "min_macs": -7.0, "max_parameters": -0.5})
    assert trial.user_attrs == {"state": "completed", "reason": "completed because a test says so"}
    assert trial.duration == timedelta(minutes=1)


def test_a_stopped_trial_is_pruned_with_all_its_reports() -> None:
    ended = end(0, State.STOPPED, PARAMS, objective=0.6)
    trial = as_seen(start(0, PARAMS), report(0, 1, 0.5), report(0, 3, 0.6), ended)
    assert (trial.state, trial.value) == (TrialState.PRUNED, None)
    assert trial.intermediate_values == {1: 0.5, 3: 0.6}
    assert trial.last_step == 3


def test_a_refused_proposal_is_pruned_with_its_constraints() -> None:
    trial = as_seen(end(0, State.INFEASIBLE, PARAMS, macs=150, parameters=1200))
    assert (trial.state, trial.params, trial.intermediate_values) == (TrialState.PRUNED, TOLD, {})
    assert trial.constraints == pytest.approx({"max_macs": 0.5, "min_macs": -14.0, "max_parameters": 0.2})


def test_a_refused_proposal_is_infeasible_even_where_no_number_says_why() -> None:
    assert as_seen(end(0, State.INFEASIBLE, PARAMS)).constraints == {"refused": 1.0}
    assert constraints_of(Limits(), None) == {}
    assert constraints_of(Limits(), end(0, State.COMPLETED, macs=5)) == {}


def test_a_diverged_trial_is_pruned_at_its_worst() -> None:
    trial = as_seen(
        start(0, PARAMS), report(0, 1, 0.5), end(0, State.FAILED, PARAMS, failure=Failure.DIVERGED)
    )
    assert (trial.state, trial.intermediate_values) == (TrialState.PRUNED, {})


@pytest.mark.parametrize("failure", [Failure.RAISED, Failure.CRASHED])
def test_other_failures_are_failures(failure: Failure) -> None:
    failed = end(0, State.FAILED, PARAMS, failure=failure)
    assert as_seen(start(0, PARAMS), report(0, 1, 0.5), failed).state is TrialState.FAIL


def test_a_completed_trial_without_objective_is_a_failure() -> None:
    assert as_seen(start(0, PARAMS), end(0, State.COMPLETED, PARAMS)).state is TrialState.FAIL


def test_an_unfinished_trial_is_running_with_its_reports() -> None:
    trial = as_seen(start(0, PARAMS), report(0, 1, 0.5))
    assert (trial.state, trial.params) == (TrialState.RUNNING, TOLD)
    assert trial.intermediate_values == {1: 0.5}
    assert (trial.user_attrs, trial.datetime_complete) == ({}, None)


def test_optuna_sees_only_conditions_that_hold() -> None:
    trial = as_seen(
        start(0, {**PARAMS, "optimizer": "sgd_momentum", "momentum": 0.9, "nesterov": False}),
    )
    assert trial.params["momentum"] == 0.9
    assert set(trial.distributions) == set(trial.params)


def test_directions_and_best_trial() -> None:
    rows = [start(n, PARAMS) for n in range(3)]
    rows_ended = [end(n, State.COMPLETED, PARAMS, objective=v) for n, v in enumerate((0.2, 0.9, 0.5))]
    view = as_optuna_study(STUDY, history_of(STUDY, *rows, *rows_ended))
    assert (view.best_trial.number, view.best_value) == (1, 0.9)
    assert view.direction is optuna.study.StudyDirection.MAXIMIZE
    study = STUDY.with_changes(objectives=(Objective(metric="val_loss"),))
    view = as_optuna_study(study, history_of(study, *rows, *rows_ended))
    assert (view.best_trial.number, view.direction) == (0, optuna.study.StudyDirection.MINIMIZE)
    assert view.study_name == "s"


def test_of_the_trials_that_asha_stopped_none_is_complete_and_each_has_all_its_reports() -> None:
    study = make_study(epochs=9, trials=40, asha=Asha(min_epochs=1, reduction_factor=3), seed=1)
    log = simulate(study, lambda params, number, epoch: (number * 37 % 101) / 101 + epoch / 100, workers=3)
    trials = {trial.number: trial for trial in as_optuna_study(study, log.history).trials}
    stopped = [record for record in log.history.trials.values() if record.state is State.STOPPED]
    assert len(stopped) > 20
    for record in stopped:
        rows = [row for row in log.rows if isinstance(row, ReportRow) and row.number == record.number]
        assert trials[record.number].state is TrialState.PRUNED
        assert trials[record.number].intermediate_values == {row.epoch: row.val_accuracy for row in rows}
        assert rows[-1].decision == "stop"
    completed = [trial for trial in trials.values() if trial.state is TrialState.COMPLETE]
    assert len(completed) == log.history.counts[State.COMPLETED]
    assert all(max(trial.intermediate_values) == 9 for trial in completed)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), workers=st.integers(2, 4))
def test_the_memory_of_converted_trials_equals_converting_anew(seed: int, workers: int) -> None:
    study = make_study(epochs=4, trials=10, seed=seed, sampler="random", limits=Limits(max_macs=100))
    log = simulate(
        study,
        lambda params, number, epoch: None if (seed + number) % 5 == 0 else (number * 7 + epoch) % 10 / 10,
        workers=workers,
        seconds=lambda params, number: 1 + (seed >> number % 30) % 3,
        refused=lambda params, number: 150 if (seed >> number % 30) % 4 == 1 else None,
    )
    view, history = OptunaView(study), History(study)
    for row in log.rows:
        history.apply(row)
        assert facts(view.study_of(history).trials) == facts(as_optuna_study(study, history).trials)
    half = History.at(study, log.rows, len(log.rows) // 2)
    assert facts(view.study_of(half).trials) == facts(as_optuna_study(study, half).trials)


def test_a_view_does_not_change_with_the_history() -> None:
    rows = numbered(start(0, PARAMS), report(0, 1, 0.5))
    history = History.from_rows(STUDY, rows[:1])
    view = as_optuna_study(STUDY, history)
    history.apply(rows[1])
    assert view.trials[0].intermediate_values == {}


def test_a_view_can_be_copied_into_a_study_of_ones_own() -> None:
    history = history_of(
        STUDY,
        start(0, PARAMS),
        report(0, 1, 0.5),
        end(0, State.COMPLETED, PARAMS, objective=0.5),
        end(1, State.INFEASIBLE, PARAMS, macs=150),
    )
    view = as_optuna_study(STUDY, history)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    own = optuna.create_study(direction="maximize")
    own.add_trials(view.get_trials(deepcopy=False))
    assert facts(own.trials) == facts(view.trials)


def test_a_view_cannot_be_written() -> None:
    view = as_optuna_study(STUDY, history_of(STUDY, start(0, PARAMS)))
    before = facts(view.trials)
    changes = (
        view.ask,
        lambda: view.tell(0, 0.5),
        lambda: view.add_trial(copy.deepcopy(view.trials[0])),
        lambda: view.set_user_attr("a", 1),
        lambda: view.enqueue_trial({}),
    )
    for change in changes:
        with pytest.raises(InvalidValueError, match="is a view of a store's rows and cannot be written"):
            change()
    assert facts(view.trials) == before


def test_what_a_reader_changes_in_its_copy_stays_there() -> None:
    view = as_optuna_study(STUDY, history_of(STUDY, start(0, PARAMS)))
    view.trials[0].params["width"] = 99
    assert view.trials[0].params["width"] == 8


def test_another_study_is_not_found() -> None:
    view = as_optuna_study(STUDY, History(STUDY))
    with pytest.raises(KeyError, match="this view holds study 's'"):
        optuna.load_study(study_name="other", storage=view._storage)


def test_optuna_sees_the_truth_about_stopped_trials() -> None:
    study = two_objectives()
    log, session = played_front(study)
    view = as_optuna_study(study, session.history)
    seen = {trial.number: trial for trial in view.get_trials(deepcopy=False)}
    states = {row.number: row.state for row in log.trials}
    assert {n for n, t in seen.items() if t.state is TrialState.COMPLETE} == {
        n for n, state in states.items() if state is State.COMPLETED
    }
    assert {trial.number for trial in view.best_trials} == {r.number for r in session.history.front}
    places = {}
    for number, trial in seen.items():
        if states[number] is State.STOPPED:
            assert trial.state is TrialState.PRUNED
            ((step, value),) = trial.intermediate_values.items()
            assert math.isnan(value)
            places[number] = step
    assert sorted(places.values()) == list(range(1, len(places) + 1))
    ends = {row.number: row for row in log.trials}
    for epoch in (1, 3):
        at = [ends[number] for number in places if ends[number].epochs == epoch]
        points = [(row.objective or 0.0, float(row.macs or 0)) for row in at]
        ranks = standings(points, study.objectives)
        by_rank = [
            row.number for _, row in sorted(zip(ranks, at, strict=True), key=lambda p: (p[0], p[1].number))
        ]
        assert sorted(by_rank, key=lambda number: -places[number]) == by_rank
    later = [places[number] for number in places if ends[number].epochs == 3]
    assert not later or min(later) > max(places[n] for n in places if ends[n].epochs == 1)


def test_tpe_takes_stopped_trials_for_good_in_the_order_that_is_stated() -> None:
    """By Optuna's own split of the view: the completed front first, then the stopped ones placed last."""
    from optuna.samplers._tpe.sampler import _split_trials

    study = two_objectives()
    _, session = played_front(study)
    trials = as_optuna_study(study, session.history).get_trials(deepcopy=False)
    completed = [t for t in trials if t.state is TrialState.COMPLETE]
    view = as_optuna_study(study, session.history, TPESampler())
    below, above = _split_trials(view, trials, len(completed) + 2)
    stopped_below = [t for t in below if t.state is TrialState.PRUNED]
    stopped_above = [t for t in above if t.state is TrialState.PRUNED]
    assert len(stopped_below) == 2
    assert min(t.last_step or 0 for t in stopped_below) > max(t.last_step or 0 for t in stopped_above)


def played(study: Study) -> MemoryLog:
    log = MemoryLog()
    play(Session(study, log, clock=Clock()))
    return log


def test_source_trials_keep_their_states_and_no_number_of_the_study() -> None:
    source = played(a_study())
    study = a_study(name="second")
    log = MemoryLog()
    a_session(log, study, origin="played", source_trials=choose_source_trials(study, source.rows)[0])
    trials = as_optuna_study(study, History.from_rows(study, log.rows)).trials
    assert all(trial.number < 0 for trial in trials)
    pruned = [trial for trial in trials if trial.state is TrialState.PRUNED]
    assert len(pruned) == sum(row.state is State.STOPPED for row in source.trials)
    assert all(trial.intermediate_values for trial in pruned)
