"""Metrics of own training: which reports can be used, and what a row keeps of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from tune_jobs import Asha, Choice, Float, Maximize, Minimize, Objective, Space, Study
from tune_jobs.search.history import History
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.rows import EventKind, EventRow, Failure, State
from tune_jobs.study.stored import study_from_definition
from tune_jobs.testing.clock import SteppingClock
from tune_jobs.testing.in_process import run_in_process
from tune_jobs.testing.memory_log import MemoryLog


def reports(params: dict[str, Any], run: Any) -> Any:
    for epoch in range(1, run.epochs + 1):
        yield {"iou": params["lr"] * epoch, "dice.mean": 1.0 / epoch, "note": "ok", "val_accuracy": 0.5}


def a_study(train: Any = reports, **changes: Any) -> Study:
    words: dict[str, Any] = {
        "name": "cells",
        "space": Space(Float("lr", 1e-5, 1e-1, log=True), Choice("depth", (2, 3))),
        "train": train,
        "objectives": (Maximize("iou"),),
        "epochs": 9,
        "trials": 8,
        "asha": Asha(min_epochs=1),
    }
    return Study(**{**words, **changes})


def reporting(**metrics: object) -> Any:
    return lambda params, run: iter([metrics])


def test_every_metric_is_kept_and_the_objective_is_of_any_name() -> None:
    log = run_in_process(a_study())
    first = log.reports[0]
    assert json.loads(first.metrics) == {
        "iou": first.value("iou"),
        "dice.mean": 1.0,
        "note": "ok",
        "val_accuracy": 0.5,
    }
    assert first.val_accuracy == 0.5  # of the same name and meaning
    assert first.epoch_s is not None
    assert first.elapsed_s is not None
    best = max(log.trials, key=lambda trial: trial.objective or 0)
    assert best.state is State.COMPLETED
    assert best.objective == json.loads(best.objectives)["iou"] == json.loads(best.metrics)["iou"]


def test_asha_stops_by_the_own_objective() -> None:
    log = run_in_process(a_study(trials=12))
    states = {trial.state for trial in log.trials}
    assert states == {State.COMPLETED, State.STOPPED}
    stopped = next(trial for trial in log.trials if trial.state is State.STOPPED)
    assert "iou" in stopped.reason


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_objective_that_is_not_finite_has_diverged(value: float) -> None:
    log = run_in_process(a_study(reporting(iou=value), trials=1))
    assert [(t.state, t.failure) for t in log.trials] == [(State.FAILED, Failure.DIVERGED)]
    assert f"iou is {value}" in log.trials[0].reason


def test_another_metric_that_is_not_finite_is_null() -> None:
    log = run_in_process(a_study(reporting(iou=0.5, ratio=math.nan, best=math.inf), trials=1))
    assert json.loads(log.trials[0].metrics) == {"iou": 0.5, "ratio": None, "best": None}


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (
            {"val_iou": 0.5, "loss": 1.0},
            "the report lacks the objective iou; it has, nearest first: val_iou, loss. Is val_iou meant?"
            " Report it under the name iou",
        ),
        ({}, "the report lacks the objective iou; it is empty"),
        ({"iou": None}, "iou is an objective, so it must be a number, got None"),
        ({"iou": "high"}, "iou is an objective, so it must be a number, got 'high'"),
        ({"iou": True}, "iou is an objective, so it must be a number, got True"),
        ({"iou": 0.5, "macs": 3}, "the report has macs, which the study's cost function computes too"),
    ],
)
def test_a_report_without_its_objective_fails_and_says_what_is_there(
    metrics: dict[str, object], words: str
) -> None:
    study = a_study(reporting(**metrics), trials=1, cost=lambda params: {"macs": 1.0})
    log = run_in_process(study)
    assert log.trials[0].failure is Failure.RAISED
    assert words in log.trials[0].reason


def test_a_report_without_the_objective_of_studies_that_name_none_says_where_it_comes_from() -> None:
    log = run_in_process(replace(a_study(reporting(iou=0.5), trials=1), objectives=(Objective(),)))
    said = "the report lacks the objective val_accuracy, which is that of a study without objectives="
    assert said in log.trials[0].reason


def test_metrics_may_come_and_go() -> None:
    def train(params: dict[str, Any], run: Any) -> Any:
        yield {"iou": 0.1, "first": 1}
        yield {"iou": 0.2, "second": 2}

    log = run_in_process(a_study(train, trials=1, asha=None))
    assert [json.loads(row.metrics).keys() for row in log.reports] == [{"iou", "first"}, {"iou", "second"}]
    assert log.trials[0].state is State.COMPLETED
    assert "returned after epoch 2 of 9" in log.trials[0].reason


def test_costs_refuse_before_training_and_can_be_objectives() -> None:
    trained: list[int] = []

    def train(params: dict[str, Any], run: Any) -> Any:
        trained.append(params["depth"])
        yield {"iou": params["lr"]}

    study = a_study(
        train,
        epochs=1,
        asha=None,
        objectives=(Maximize("iou"), Minimize("memory_gb")),
        cost=lambda params: {"macs": 1000 * params["depth"], "memory_gb": params["depth"] / 2},
        limits={"macs": 2500},
    )
    log = run_in_process(study)
    assert set(trained) == {2}
    refused = [trial for trial in log.trials if trial.state is State.INFEASIBLE]
    assert {trial.reason for trial in refused} == {"3,000 MACs are above the limit of 2,500"}
    assert refused[0].macs == 3000
    assert json.loads(refused[0].metrics)["memory_gb"] == 1.5
    trained_trial = next(trial for trial in log.trials if trial.state is State.COMPLETED)
    assert json.loads(trained_trial.objectives)["memory_gb"] == 1.0


def test_limits_on_costs_of_any_name() -> None:
    study = a_study(
        cost=lambda params: {"memory_gb": float(params["depth"])}, limits={"memory_gb": (1, 2.5)}, trials=4
    )
    log = run_in_process(study)
    reasons = {trial.reason for trial in log.trials if trial.state is State.INFEASIBLE}
    assert reasons == {"memory_gb 3 is above the limit of 2.5"}


def test_two_runs_decide_alike_and_a_killed_run_continues_to_the_same_rows() -> None:
    def table(log: MemoryLog) -> list[tuple[object, ...]]:
        return [(t.number, t.params, t.state, t.epochs, t.objective, t.reason) for t in log.trials]

    whole = run_in_process(a_study(trials=12))
    log = run_in_process(a_study(trials=12), max_epochs=7)
    assert not any(row.table == "trials" and row.number == 11 for row in log.rows)
    run_in_process(a_study(trials=12), log)
    assert sorted(table(log)) == sorted(table(whole))


LOADED = WorkerInfo(resumed_from_epoch=2, passed_over="attempt-1.pt is torn")


def resumed_session(log: MemoryLog) -> tuple[Session, int]:
    """A session with a second attempt of a trial that has reported twice."""
    first = Session(a_study(trials=1), log, clock=SteppingClock())
    attempt = first.next_attempt()
    assert attempt is not None
    for epoch in (1, 2):
        first.record_report(attempt.number, {"epoch": epoch}, WorkerInfo(), own={"iou": epoch / 10})
    session = Session(a_study(trials=1), log, log.rows[:], clock=SteppingClock())
    again = session.next_attempt()
    assert again is not None
    assert (again.attempt, again.acknowledged) == (2, {1: 2})
    session.take_worker(again.number)
    session.record_begin(again.number, WorkerInfo(pid=7))
    return session, again.number


def last_event(log: MemoryLog, kind: EventKind) -> dict[str, Any]:
    detail = [row.detail for row in log.of(EventRow) if row.kind is kind][-1]
    found: dict[str, Any] = json.loads(detail)
    return found


@pytest.mark.parametrize("failed", [False, True])
def test_what_an_attempt_loaded_is_in_the_event_of_its_end(failed: bool) -> None:
    log = MemoryLog()
    session, number = resumed_session(log)
    if failed:
        session.record_failure(number, Failure.CRASHED, "the node is gone", worker=LOADED)
    else:
        session.record_report(number, {"epoch": 3}, LOADED, own={"iou": 0.3})
        session.record_end(number, WorkerInfo())
    detail = last_event(log, EventKind.ATTEMPT_ENDED)
    assert (detail["resumed_from_epoch"], detail["passed_over"]) == (2, "attempt-1.pt is torn")


def test_what_an_attempt_loaded_is_in_the_event_of_its_interruption() -> None:
    log = MemoryLog()
    session, number = resumed_session(log)
    session.record_report(number, {"epoch": 3}, LOADED, own={"iou": 0.3})
    session.close(SessionEnd.INTERRUPTED)
    detail = last_event(log, EventKind.ATTEMPT_INTERRUPTED)
    assert (detail["resumed_from_epoch"], detail["passed_over"]) == (2, "attempt-1.pt is torn")


def test_a_trial_whose_end_was_killed_is_complete_when_its_resumed_function_returns() -> None:
    log = MemoryLog()
    session, number = resumed_session(log)
    session.record_end(number, WorkerInfo(resumed_from_epoch=2))
    (trial,) = log.trials
    assert (trial.state, trial.epochs, trial.objective) == (State.COMPLETED, 2, 0.2)
    assert trial.reason == "the training function returned after epoch 2 of 9"


def test_a_function_that_neither_loads_nor_reports_fails_its_trial() -> None:
    log = MemoryLog()
    session, number = resumed_session(log)
    session.record_end(number, WorkerInfo())
    assert (log.trials[0].state, log.trials[0].failure) == (State.FAILED, Failure.RAISED)
    assert "returned before it reported an epoch" in log.trials[0].reason


def test_the_stored_definition_gives_the_same_study_without_its_code() -> None:
    study = a_study(cost=lambda params: {"macs": 1.0}, limits={"macs": 5, "memory_gb": (None, 2)})
    stored = study_from_definition(study.name, json.loads(json.dumps(study.definition())))
    assert stored.fingerprint() == study.fingerprint()
    log = run_in_process(a_study())
    history = History.from_rows(study_from_definition("cells", a_study().definition()), log.rows)
    assert history.num_trained == 8


def test_half_of_a_surrogate_pair_in_a_text_is_stored_safely_and_in_a_name_refused() -> None:
    (trial,) = run_in_process(a_study(reporting(iou=0.5, note="x\ud800y"), trials=1)).trials
    assert json.loads(trial.metrics) == {"iou": 0.5, "note": "x?y"}
    trial.metrics.encode()
    log = run_in_process(a_study(lambda params, run: iter([{"iou": 0.5, "a\ud800": 1}]), trials=1))
    (trial,) = log.trials
    assert trial.failure is Failure.RAISED
    assert "the name of a metric has" in str(trial.error)
