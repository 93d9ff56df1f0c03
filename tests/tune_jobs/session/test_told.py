"""What a study learns from the trials of another one: what is told, to whom, and once."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState
from session_testing import Clock, MemoryLog, a_session, a_study, play, play_attempt, rising, table

from eml_models.errors import InvalidValueError, UnknownNameError
from tune_jobs.analysis.audit import audit
from tune_jobs.inputs.warm_start import OUTSIDE, Source, choose_told, read_source
from tune_jobs.search.given import MAX_TOLD
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import EventKind, EventRow, Failure, State
from tune_jobs.study.space import Choice, Float, Space


def played(study: Study) -> MemoryLog:
    log = MemoryLog()
    play(Session(study, log, clock=Clock()))
    return log


def mean_distance_from_best(log: MemoryLog) -> float:
    """In decades, of the first eight rates from 0.1, where the curves are best."""
    rates = [json.loads(row.params)["learning_rate"] for row in log.starts[:8]]
    return statistics.mean(abs(math.log10(rate / 0.1)) for rate in rates)


def test_warm_started_study_learns_from_the_other_and_says_so() -> None:
    source = played(a_study(trials=16))
    study = a_study(name="second", seed=5, trials=14)
    told, left_out = choose_told(study, source.rows)
    assert (len(told), left_out) == (16, {})
    log = MemoryLog()
    play(a_session(log, study, origin="played", told=told))
    assert {row.warm_started_from for row in log.starts} == {"played"}
    assert len(log.trials) == 14
    cold = played(study)
    assert mean_distance_from_best(log) < mean_distance_from_best(cold) / 1.5
    assert audit(study, log.rows).differences == ()


def test_told_trials_keep_their_states_and_no_number_of_the_study() -> None:
    source = played(a_study())
    study = a_study(name="second")
    log = MemoryLog()
    a_session(log, study, origin="played", told=choose_told(study, source.rows)[0])
    trials = as_optuna_study(study, History.from_rows(study, log.rows)).trials
    assert all(trial.number < 0 for trial in trials)
    pruned = [trial for trial in trials if trial.state is TrialState.PRUNED]
    assert len(pruned) == sum(row.state is State.STOPPED for row in source.trials)
    assert all(trial.intermediate_values for trial in pruned)


def test_a_warm_start_says_how_many_are_told_and_why_others_are_not() -> None:
    source = played(a_study(trials=6))
    ends = [
        replace(row, state=State.FAILED, failure=Failure.RAISED, objective=None) for row in source.trials[:2]
    ]
    rows = [*source.starts, *source.reports, *source.trials[2:5], *ends]
    told, left_out = choose_told(a_study(name="second"), rows)
    text = Source(origin="played", trials=tuple(told), left_out=left_out).describe([])
    assert text == (
        "warm start: 3 trials of 'played' given to the sampler; 2 left out, failed; 1 left out, not ended"
    )
    log = MemoryLog()
    a_session(log, a_study(name="second"), origin="played", told=told)
    again = Source(origin="played", trials=tuple(told), left_out={}).describe(log.rows)
    assert again == "warm start: this study has learned from 'played' in an earlier run, and does so once"


def test_warm_start_is_told_once() -> None:
    source = played(a_study())
    study = a_study(name="second", trials=2)
    told = choose_told(study, source.rows)[0]
    log = MemoryLog()
    play(a_session(log, study, origin="played", told=told))
    play(a_session(log, study.with_changes(trials=4), origin="played", told=told))
    assert sum(isinstance(r, EventRow) and r.kind is EventKind.WARM_STARTED for r in log.rows) == 1


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_warm_started_and_killed_goes_on_the_same(cut: int) -> None:
    source = played(a_study())
    study = a_study(name="second", trials=6, sampler="tpe")
    told = choose_told(study, source.rows)[0]
    whole = MemoryLog()
    play(a_session(whole, study, origin="played", told=told))
    log = MemoryLog(whole.rows[:cut])
    play(a_session(log, study, origin="played", told=told))
    assert table(log) == table(whole)


def test_trials_outside_the_space_are_left_out_and_the_most_telling_are_kept() -> None:
    source = played(a_study(trials=40))
    narrow = a_study(space=Space(Float("learning_rate", 1e-2, 1.0, log=True), Choice("optimizer", ("sgd",))))
    told, left_out = choose_told(narrow, source.rows)
    assert 0 < len(told) < 40
    assert left_out == {OUTSIDE: 40 - len(told)}
    assert all(trial.params["learning_rate"] >= 1e-2 for trial in told)
    many = [row for i in range(20) for row in _renumbered(source, i * 1000)]
    told, left_out = choose_told(a_study(), many)
    assert len(told) == MAX_TOLD
    assert left_out == {f"beyond the {MAX_TOLD} best and newest": 20 * 40 - MAX_TOLD}
    best = max(row.objective or 0 for row in source.trials)
    assert sum(trial.end.objective == best for trial in told) == 20


def _renumbered(log: MemoryLog, by: int) -> list[object]:
    return [replace(row, number=row.number + by) for row in log.trials]


def test_sources_that_cannot_help_are_refused(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    with StudyWriter.open(store, a_study(), versions={}) as writer:
        session = Session(a_study(), writer, clock=Clock())
        attempt = session.next_attempt()
        assert attempt is not None
        play_attempt(session, attempt, rising)
    other = a_study(name="other")
    source = read_source(other, "played", store=store)
    assert len(source.trials) == 1
    assert source.describe([]) == "warm start: 1 trial of 'played' given to the sampler"
    assert len(read_source(other, f"{store}::played", store="elsewhere").trials) == 1
    with pytest.raises(InvalidValueError, match="cannot warm-start from itself"):
        read_source(a_study(), "played", store=store)
    with pytest.raises(UnknownNameError, match="unknown study 'playd'"):
        read_source(other, "playd", store=store)
    foreign = a_study(name="other", space=Space(Float("weight_decay", 0.1, 1.0)))
    with pytest.raises(InvalidValueError, match="'played' can be learned from: 1 with params outside this"):
        read_source(foreign, "played", store=store)
