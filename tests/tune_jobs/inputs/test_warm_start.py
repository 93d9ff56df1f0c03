"""Trials that a study learns from another study: they are true of both, and keep the state that they had."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState
from session_testing import (
    WORKER,
    Clock,
    MemoryLog,
    a_session,
    a_study,
    play,
    play_attempt,
    rising,
)
from two_objectives import played_front, two_objectives, wide_is_better

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.training.recipe import Recipe
from tune_jobs.errors import StoreMissingError
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.inputs.shipped import digits_front, fashion_mnist_front
from tune_jobs.inputs.warm_start import OUTSIDE, REFUSED_THERE, Source, choose_source_trials, read_source
from tune_jobs.search.given import MAX_SOURCE_TRIALS, SourceTrial
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.session.attempt import SessionSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.events import TrialElsewhere, WarmStarted, detail_as_json
from tune_jobs.study.method import LatencyMode, Limits
from tune_jobs.study.objective import Minimize, Objective
from tune_jobs.study.parameters import Choice, Constant, Float
from tune_jobs.study.rows import Decision, EventRow, Failure, State
from tune_jobs.study.space import Space


def played(study: Study) -> MemoryLog:
    log = MemoryLog()
    play(Session(study, log, clock=Clock()))
    return log


def params_by_number(log: MemoryLog) -> dict[int, dict[str, object]]:
    return {row.number: json.loads(row.params) for row in log.trials}


def test_a_trial_with_another_value_of_a_constant_is_left_out() -> None:
    source = played(a_study(trials=12, sampler="random"))
    trained = params_by_number(source)
    with_adam = [number for number, params in trained.items() if params["optimizer"] == "adam"]
    assert 0 < len(with_adam) < 12
    chosen, left_out = choose_source_trials(
        a_study(name="adam", space=a_study().space.fixed({"optimizer": "adam"})), source.rows
    )
    assert sorted(trial.end.number for trial in chosen) == sorted(with_adam)
    assert all(trial.params == trained[trial.end.number] for trial in chosen)
    assert left_out == {OUTSIDE: 12 - len(with_adam)}


def test_a_constant_that_the_other_study_did_not_know_is_taken_from_here() -> None:
    source = played(a_study(trials=3, asha=None))
    space = a_study().space
    fixed = Space(*space.parameters, Constant("batch_size", 32))
    chosen, left_out = choose_source_trials(a_study(name="second", space=fixed), source.rows)
    assert ([trial.params["batch_size"] for trial in chosen], left_out) == ([32, 32, 32], {})


def mobilenets(name: str, **changes: object) -> Study:
    space = Space(Float("width_mult", 0.1, 2.0, log=True), Float("learning_rate", 1e-3, 1.0, log=True))
    recipe = Recipe(
        model="mobilenet", dataset="digits", learning_rate=0.1, epochs=9, model_options={"divisor": 1}
    )
    return a_study(name=name, space=space, recipe=recipe, trials=8, sampler="random").with_changes(**changes)


def optuna_trials_of(study: Study, chosen: Sequence[SourceTrial]) -> list[FrozenTrial]:
    """What Optuna hears of trials of another study, as the store gives them back."""
    log = MemoryLog()
    settings = SessionSettings(origin="other", source_trials=chosen)
    Session(study, log, settings=settings, clock=Clock())
    return as_optuna_study(study, History.from_rows(study, log.rows)).trials


@pytest.mark.parametrize(("limit", "num_refused"), [(40_000_000, 0), (7_000_000, 2), (None, 0)])
def test_refusals_are_learned_where_this_study_refuses_too(limit: int | None, num_refused: int) -> None:
    source = played(mobilenets("source", limits=Limits(max_macs=4_000_000)))
    refused = [row for row in source.trials if row.state is State.INFEASIBLE]
    assert sorted(row.macs or 0 for row in refused) == [6_150_408, 9_333_056, 24_128_780]
    study = mobilenets("second", limits=Limits(max_macs=limit))
    chosen, left_out = choose_source_trials(study, source.rows)
    assert left_out == {REFUSED_THERE: 3 - num_refused}
    trials = optuna_trials_of(study, chosen)
    assert len(trials) == 8 + num_refused
    over = [trial for trial in trials if any(value > 0 for value in trial.constraints.values())]
    assert len(over) == num_refused
    assert all(set(trial.constraints) == {"max_macs"} for trial in over)
    assert all(trial.user_attrs["reason"].endswith("above the limit of 7,000,000") for trial in over)


def test_a_trained_trial_that_the_limits_here_refuse_is_learned_as_refused() -> None:
    source = played(mobilenets("source"))
    study = mobilenets("second", limits=Limits(max_macs=1_000_000))
    chosen, _ = choose_source_trials(study, source.rows)
    for trial, row in zip(optuna_trials_of(study, chosen), chosen, strict=True):
        assert trial.constraints["max_macs"] == pytest.approx((row.end.macs or 0) / 1_000_000 - 1)
    assert any(trial.constraints["max_macs"] > 0 for trial in optuna_trials_of(study, chosen))


def test_a_network_costs_what_it_does_on_the_images_here() -> None:
    source = played(fashion_mnist_front().with_changes(trials=4, sampler="random"))
    study = digits_front()
    chosen, left_out = choose_source_trials(study, source.rows)
    assert (len(chosen), left_out) == (4, {})
    completed = 0
    for trial, heard in zip(chosen, optuna_trials_of(study, chosen), strict=True):
        macs = count_cost(resolve_recipe(study, trial.params, 0)).macs
        assert heard.constraints["max_macs"] == pytest.approx(macs / (study.limits.max_macs or 0) - 1)
        assert heard.constraints["max_macs"] <= 0
        if heard.state is TrialState.COMPLETE:
            completed += 1
            assert heard.values == [trial.end.objective, macs]
    assert completed


def timed(study: Study, times_ms: Sequence[float]) -> MemoryLog:
    """A study of trials that measured so many milliseconds each."""
    log = MemoryLog()
    session = Session(study, log, clock=Clock())
    for latency_ms in times_ms:
        attempt = session.next_attempt()
        assert attempt is not None
        if session.record_latency(attempt.number, latency_ms, WORKER) is Decision.CONTINUE:
            play_attempt(session, attempt)
    return log


def test_times_are_learned_where_they_were_measured_in_the_same_mode() -> None:
    mode = LatencyMode()
    source = timed(a_study(latency=mode, limits=Limits(max_latency_ms=3.0), asha=None), (1.0, 4.0, 6.0, 2.0))
    study = a_study(name="second", latency=mode, limits=Limits(max_latency_ms=5.0))
    chosen, left_out = choose_source_trials(study, source.rows, same_latency=True)
    assert left_out == {REFUSED_THERE: 1}
    excess = [trial.constraints["max_latency_ms"] for trial in optuna_trials_of(study, chosen)]
    assert sorted(excess) == pytest.approx([1 / 5 - 1, 2 / 5 - 1, 6 / 5 - 1])
    chosen, left_out = choose_source_trials(study, source.rows)
    assert left_out == {REFUSED_THERE: 2}
    assert [trial.constraints for trial in optuna_trials_of(study, chosen)] == [{}, {}]


def test_latency_in_another_mode_is_another_objective(tmp_path: Path) -> None:
    objectives = (Objective(), Objective(metric="latency_ms"))
    source = a_study(latency=LatencyMode(), objectives=objectives)
    with StudyWriter.open(str(tmp_path), source, versions={}):
        pass
    study = source.with_changes(name="second", latency=LatencyMode(batch_size=32))
    with pytest.raises(InvalidValueError, match=r"'played' measures latency as .*'batch_size': 1.*: 32"):
        read_source(study, "played", store=str(tmp_path))


def test_sources_are_named_as_they_were_given(tmp_path: Path) -> None:
    """Two stores may hold studies of one name."""
    source = a_study(objectives=(Minimize("val_loss"),))
    with StudyWriter.open(str(tmp_path / "a"), source, versions={}):
        pass
    words = f"{tmp_path / 'a'}::{source.name}"
    with pytest.raises(InvalidValueError) as caught:
        read_source(a_study(), words, store=str(tmp_path / "b"))
    assert f"{words!r} searches val_loss, and this study val_accuracy; choose another study" in str(
        caught.value
    )


def test_trials_that_diverged_are_learned_as_the_worst_and_other_failures_are_not() -> None:
    log = MemoryLog()
    session = Session(a_study(trials=8, asha=None), log, clock=Clock())
    for failure in (Failure.DIVERGED, Failure.RAISED, Failure.DIVERGED):
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_report(attempt.number, rising(attempt, 1), WORKER)
        session.record_failure(attempt.number, failure, "no", worker=WORKER)
    play(session)
    diverged = [row for row in log.trials if row.failure is Failure.DIVERGED]
    assert len(diverged) == 2
    study = a_study(name="second")
    chosen, left_out = choose_source_trials(study, log.rows)
    assert left_out == {"failed": 1}
    heard = {
        trial.end.number: optuna
        for trial, optuna in zip(chosen, optuna_trials_of(study, chosen), strict=True)
    }
    for row in diverged:
        assert heard[row.number].state is TrialState.PRUNED
        assert heard[row.number].intermediate_values == {}
        assert heard[row.number].params == json.loads(row.params)


def test_the_newest_trial_has_the_highest_number() -> None:
    """TPE sorts by number, and weighs the last ones fully and those before them less and less."""
    source = played(a_study(trials=40))
    study = a_study(name="second", asha=None)
    chosen, _ = choose_source_trials(study, source.rows)
    heard = sorted(optuna_trials_of(study, chosen), key=lambda trial: trial.number)
    ended = sorted(source.trials, key=lambda row: row.seq)
    assert [trial.number for trial in heard] == list(range(-41, -1))
    assert [trial.params for trial in heard] == [json.loads(row.params) for row in ended]
    many = [replace(row, number=row.number + shift) for shift in range(0, 800, 40) for row in ended]
    chosen, _ = choose_source_trials(study, many)
    assert [trial.end.number for trial in chosen] == sorted((t.end.number for t in chosen), reverse=True)
    assert chosen[0].end.number == many[-1].number


def test_a_study_is_itself_however_its_store_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("trials")
    for where in ("trials", "trials/", "./trials", str(tmp_path / "trials"), "link"):
        with pytest.raises(InvalidValueError, match="'played' cannot warm-start from itself"):
            read_source(a_study(), f"{where}::played", store="trials")
    with pytest.raises(InvalidValueError, match="cannot warm-start from itself"):
        read_source(a_study(), "s3://bucket/trials/::played", store="s3://bucket/trials")
    with pytest.raises(StoreMissingError):
        read_source(a_study(), "elsewhere::played", store="trials")


def test_a_refusal_that_no_number_here_shows_counts_as_twice_the_limit() -> None:
    trial = TrialElsewhere(
        trial_id="other/0",
        number=0,
        params={"learning_rate": 0.1, "optimizer": "sgd"},
        state=State.INFEASIBLE,
        reason="9 MACs are above the limit of 4",
        macs=9,
    )
    detail = WarmStarted(origin="other", trials=(trial,))
    event = EventRow(
        study="played",
        seq=1,
        kind=detail.kind,
        session="x",
        detail=detail_as_json(detail),
        happened_at=Clock()(),
    )
    (heard,) = as_optuna_study(a_study(), History.from_rows(a_study(), [event])).trials
    assert (heard.number, heard.state, heard.constraints) == (-2, TrialState.PRUNED, {"refused": 1.0})


def test_warm_start_from_a_search_without_costs() -> None:
    """Its rows hold MACs, so that its trials are points of both objectives."""
    single = two_objectives(asha=None).with_changes(objectives=(Objective(),), name="single")
    log, _ = played_front(single)
    study = two_objectives()
    chosen, left_out = choose_source_trials(study, log.rows)
    assert (len(chosen), left_out) == (24, {})
    second = MemoryLog()
    session = Session(
        study, second, settings=SessionSettings(origin="single", source_trials=chosen), clock=Clock()
    )
    view = as_optuna_study(study, session.history)
    assert all(trial.values and trial.values[1] == chosen[i].end.macs for i, trial in enumerate(view.trials))
    assert isinstance(chosen[0], SourceTrial)
    play_attempt(session, session.next_attempt(), wide_is_better)  # type: ignore[arg-type]  # there is one


def test_a_warm_start_says_how_many_are_learned_and_why_others_are_not() -> None:
    source = played(a_study(trials=6))
    ends = [
        replace(row, state=State.FAILED, failure=Failure.RAISED, objective=None) for row in source.trials[:2]
    ]
    rows = [*source.starts, *source.reports, *source.trials[2:5], *ends]
    chosen, left_out = choose_source_trials(a_study(name="second"), rows)
    text = Source(origin="played", trials=tuple(chosen), left_out=left_out).describe([])
    assert text == (
        "warm start: 3 trials of 'played' given to the sampler; 2 left out, failed; 1 left out, not ended"
    )
    log = MemoryLog()
    a_session(log, a_study(name="second"), origin="played", source_trials=chosen)
    again = Source(origin="played", trials=tuple(chosen), left_out={}).describe(log.rows)
    assert again == "warm start: this study has learned from 'played' in an earlier run, and does so once"


def test_trials_outside_the_space_are_left_out_and_the_best_and_newest_are_kept() -> None:
    source = played(a_study(trials=40))
    narrow = a_study(space=Space(Float("learning_rate", 1e-2, 1.0, log=True), Choice("optimizer", ("sgd",))))
    chosen, left_out = choose_source_trials(narrow, source.rows)
    assert 0 < len(chosen) < 40
    assert left_out == {OUTSIDE: 40 - len(chosen)}
    assert all(trial.params["learning_rate"] >= 1e-2 for trial in chosen)
    many = [row for i in range(20) for row in _renumbered(source, i * 1000)]
    chosen, left_out = choose_source_trials(a_study(), many)
    assert len(chosen) == MAX_SOURCE_TRIALS
    assert left_out == {f"beyond the {MAX_SOURCE_TRIALS} best and newest": 20 * 40 - MAX_SOURCE_TRIALS}
    best = max(row.objective or 0 for row in source.trials)
    assert sum(trial.end.objective == best for trial in chosen) == 20


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
