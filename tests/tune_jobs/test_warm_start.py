"""What a study is told of another one is true of both: nothing that was trained is told as something else."""

from __future__ import annotations

import json

from session_testing import Clock, MemoryLog, a_study, play

from tune_jobs.session import Session
from tune_jobs.space import Constant, Space
from tune_jobs.study import Study
from tune_jobs.warm_start import OUTSIDE, choose_told


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
    told, left_out = choose_told(
        a_study(name="adam", space=a_study().space.fixed({"optimizer": "adam"})), source.rows
    )
    assert sorted(trial.end.number for trial in told) == sorted(with_adam)
    assert all(trial.params == trained[trial.end.number] for trial in told)
    assert left_out == {OUTSIDE: 12 - len(with_adam)}


def test_a_constant_that_the_other_study_did_not_know_is_taken_from_here() -> None:
    source = played(a_study(trials=3, asha=None))
    space = a_study().space
    fixed = Space(*space.parameters, Constant("batch_size", 32))
    told, left_out = choose_told(a_study(name="second", space=fixed), source.rows)
    assert ([trial.params["batch_size"] for trial in told], left_out) == ([32, 32, 32], {})
