"""Proposals: what each method does beyond what the contract asks of all (`tests/contracts`)."""

from __future__ import annotations

import json
import math
import statistics

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import TPESampler
from search_testing import end, history_of, make_study, simulate, start

from eml_models import seeds
from eml_models.errors import InvalidValueError
from tune_jobs.search.history import History
from tune_jobs.search.optuna_view import as_optuna_study
from tune_jobs.search.sampler import NUM_STARTUP_TRIALS, build_sampler
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Limits, SamplerName
from tune_jobs.study.parameters import Choice, Float, Integer, Parameter, Params, When
from tune_jobs.study.rows import Failure, Row, StartRow, State, TrialRow, as_json_text
from tune_jobs.study.steps import Steps


def number_at(params: Params | None, name: str) -> float:
    assert params is not None
    value = params[name]
    assert isinstance(value, int | float)
    return value


def proposals(study: Study, history: History, numbers: range) -> list[Params]:
    sampler = build_sampler(study)
    drawn = [sampler.propose(history, number) for number in numbers]
    return [params for params in drawn if params is not None]


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), workers=st.integers(2, 4))
def test_a_simulated_run_proposes_what_its_rows_say(seed: int, workers: int) -> None:
    """With workers, ASHA, refusals and divergence: asking anew at each row's history gives its params."""
    study = make_study(epochs=9, trials=18, seed=seed, limits=Limits(max_macs=100))
    log = simulate(
        study,
        lambda params, number, epoch: None if number % 7 == 3 else number_at(params, "learning_rate") * epoch,
        workers=workers,
        seconds=lambda params, number: 0.5 + (seed >> number % 30) % 5,
        refused=lambda params, number: 150 if number_at(params, "width") > 56 else None,
    )
    for row in log.rows:
        if isinstance(row, StartRow | TrialRow) and row.history_seq is not None:
            known = History.at(study, log.rows, row.history_seq)
            assert as_json_text(build_sampler(study).propose(known, row.number) or {}) == row.params


def test_tpe_draws_what_optuna_draws_from_a_study_of_its_own() -> None:
    """The view changes nothing: an in-memory study with the same trials and seed gives the same point."""
    study = make_study(
        Float("x", 1e-3, 1, log=True), Choice("y", ("a", "b", "c")), Integer("z", 1, 9), epochs=1
    )
    log = simulate(study.with_changes(trials=30), lambda params, number, epoch: number_at(params, "x"))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    own = optuna.create_study(
        direction="maximize", sampler=TPESampler(seed=seeds.derive(study.seed, 30, "sampler"))
    )
    own.add_trials(as_optuna_study(study, log.history).trials)
    trial = own.ask()
    drawn = {
        "x": trial.suggest_float("x", 1e-3, 1, log=True),
        "y": trial.suggest_categorical("y", ("a", "b", "c")),
        "z": trial.suggest_int("z", 1, 9),
    }
    assert build_sampler(study).propose(log.history, 30) == pytest.approx(drawn)


def test_tpe_is_random_before_enough_trials_have_ended() -> None:
    study = make_study()
    plain = proposals(study.with_changes(sampler="random"), History(study), range(5))
    rows: list[Row] = []
    for number, params in enumerate(plain):
        rows += [start(number, params), end(number, State.COMPLETED, params, objective=0.5)]
    assert len(rows) / 2 < NUM_STARTUP_TRIALS
    history = history_of(study, *rows)
    assert proposals(study, history, range(5, 9)) == proposals(study, History(study), range(5, 9))


def near_best_share(study: Study, outcome: State, failure: Failure | None = None) -> float:
    """The share of proposals with x > 0.5 after 20 trials there ended badly and 20 below were mediocre."""
    rows: list[Row] = []
    for number in range(40):
        params: Params = {"x": (number + 0.5) / 40}
        bad = number >= 20
        if not (bad and outcome is State.INFEASIBLE):
            rows.append(start(number, params))
        if bad:
            macs = 150 if outcome is State.INFEASIBLE else None
            rows.append(end(number, outcome, params, failure=failure, macs=macs))
        else:
            rows.append(end(number, State.COMPLETED, params, objective=number / 100))
    drawn = proposals(study, history_of(study, *rows), range(40, 80))
    return sum(number_at(params, "x") > 0.5 for params in drawn) / len(drawn)


def test_tpe_learns_from_what_it_sees_of_bad_regions() -> None:
    """The best of the good half lies at its upper edge, next to the bad half."""
    study = make_study(Float("x", 0, 1), limits=Limits(max_macs=100))
    crashed = near_best_share(study, State.FAILED, Failure.RAISED)
    diverged = near_best_share(study, State.FAILED, Failure.DIVERGED)
    infeasible = near_best_share(study, State.INFEASIBLE)
    assert diverged < 0.2 < crashed
    assert infeasible < 0.2 < crashed


def test_tpe_keeps_away_from_what_is_running() -> None:
    study = make_study(Float("x", 0, 1))
    rows: list[Row] = []
    for number in range(20):
        params: Params = {"x": (number + 0.5) / 20}
        value = -abs(number_at(params, "x") - 0.5)
        rows += [start(number, params), end(number, State.COMPLETED, params, objective=value)]
    before = proposals(study, history_of(study, *rows), range(20, 50))
    rows += [start(20 + i, {"x": 0.5}) for i in range(8)]
    after = proposals(study, history_of(study, *rows), range(28, 58))

    def distance(drawn: list[Params]) -> float:
        return statistics.mean(abs(number_at(params, "x") - 0.5) for params in drawn)

    assert distance(after) > 1.5 * distance(before)


def test_tpe_beats_random_search() -> None:
    """On a bowl of two numbers and a choice, the mean best of 8 seeds after 40 trials."""
    parameters: tuple[Parameter, ...] = (
        Float("x", 1e-4, 1, log=True),
        Float("y", -1, 1),
        Choice("z", ("a", "b", "c", "d")),
    )

    def value(params: Params, number: int, epoch: int) -> float:
        miss = (math.log10(number_at(params, "x")) + 2) ** 2 + number_at(params, "y") ** 2
        return -miss - (params["z"] != "c")

    best = {}
    for sampler in (SamplerName.TPE, SamplerName.RANDOM):
        found = []
        for seed in range(8):
            study = make_study(*parameters, epochs=1, trials=40, seed=seed, sampler=sampler)
            record = simulate(study, value).history.best
            found.append(record.objective or 0.0 if record else -9.0)
        best[sampler] = statistics.mean(found)
    assert best[SamplerName.TPE] > best[SamplerName.RANDOM] / 2


@pytest.mark.parametrize("sampler", [SamplerName.TPE, SamplerName.RANDOM])
def test_both_ends_of_whole_and_stepped_ranges_are_tried(sampler: SamplerName) -> None:
    study = make_study(
        Integer("n", 1, 4),
        Float("f", 0.1, 0.3, step=0.1),
        Integer("s", 2, 9, step=3),
        sampler=sampler,
        trials=60,
    )
    log = simulate(study.with_changes(asha=None), lambda params, number, epoch: number % 10 / 10)
    tried = [json.loads(row.params) for row in log.rows if isinstance(row, StartRow)]
    assert {params["n"] for params in tried} == {1, 2, 3, 4}
    assert {params["f"] for params in tried} == {0.1, 0.2, 0.3}
    assert {params["s"] for params in tried} == {2, 5, 8}


def test_random_draws_have_the_right_distributions() -> None:
    study = make_study(
        Float("log", 1e-4, 1.0, log=True),
        Float("plain", -1.0, 3.0),
        Integer("whole", 0, 4),
        Choice("choice", ("a", "b")),
        Float("depends", 0, 1, when=When("choice", ("a",))),
        sampler="random",
    )
    drawn = proposals(study, History(study), range(400))
    logs = sorted(math.log10(number_at(params, "log")) for params in drawn)
    plains = sorted(number_at(params, "plain") for params in drawn)
    for index, (log, plain) in enumerate(zip(logs, plains, strict=True)):
        assert abs((log + 4) / 4 - index / 400) < 0.085  # Kolmogorov-Smirnov, p about 0.006
        assert abs((plain + 1) / 4 - index / 400) < 0.085
    wholes = [number_at(params, "whole") for params in drawn]
    assert all(50 < wholes.count(value) < 115 for value in range(5))
    with_a = [params for params in drawn if params["choice"] == "a"]
    assert 150 < len(with_a) < 250
    assert all(("depends" in params) == (params["choice"] == "a") for params in drawn)


def test_random_depends_on_seed_and_number_alone() -> None:
    study = make_study(sampler="random")
    params = proposals(study, History(study), range(1))[0]
    full = history_of(study, start(0, params), end(0, State.COMPLETED, params, objective=1.0))
    assert proposals(study, full, range(9)) == proposals(study, History(study), range(9))


def grid_study(trials: int = 24) -> Study:
    return make_study(
        Choice("optimizer", ("sgd_momentum", "adam")),
        Float("learning_rate", 0.1, 0.3, step=0.1),
        Choice("nesterov", (True, False), when=When("optimizer", ("sgd_momentum",))),
        sampler="grid",
        trials=trials,
    )


def test_grid_ends_with_a_reason() -> None:
    sampler = build_sampler(grid_study(trials=24))
    assert sampler.propose(History(grid_study()), 9) is None
    assert sampler.end_reason(8) is None
    assert sampler.end_reason(9) == (
        "the grid has 9 points and all of them were proposed; add values to the space, or search it with"
        " another sampler, under another --name"
    )


def test_a_simulated_grid_trains_each_point_once() -> None:
    study = grid_study(trials=100).with_changes(asha=None)
    log = simulate(study, lambda params, number, epoch: 0.5, workers=3)
    tried = [row.params for row in log.rows if isinstance(row, StartRow)]
    assert len(tried) == len(set(tried)) == 9
    assert log.history.counts == {State.COMPLETED: 9}


def test_a_grid_of_a_continuous_parameter_is_refused_at_once() -> None:
    with pytest.raises(
        InvalidValueError, match="needs a finite number of points, but 'x' is continuous; give it"
    ):
        build_sampler(make_study(Integer("n", 1, 2), Float("x", 0, 1), sampler="grid"))


@pytest.mark.parametrize("sampler", list(SamplerName))
def test_fine_step_costs_a_few_values(sampler: SamplerName, monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[float] = []
    walk = Steps.__iter__
    monkeypatch.setattr(Steps, "__iter__", lambda grid: (walked.append(v) or v for v in walk(grid)))
    study = make_study(
        Float("learning_rate", 1e-7, 1.0, step=1e-7), Choice("optimizer", ("sgd", "adam")), sampler=sampler
    )
    point = build_sampler(study).propose(History(study), 0)
    assert study.space.validated(point or {}) == point
    assert len(walked) < 100
