"""Costs of own training are facts once they are stored: a later run with another function keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tune_jobs import Asha, Choice, Maximize, Minimize, Space, Study, TrialStore, run_study
from tune_jobs.analysis.audit import audit
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.own_training import OwnRecipe, costs_of_recipe
from tune_jobs.study.rows import Decision, StartRow, State
from tune_jobs.testing.memory_log import MemoryLog

Cost = Callable[[dict[str, Any]], dict[str, float]]


def cost_of(factor: float) -> Cost:
    def cost(params: dict[str, Any]) -> dict[str, float]:
        return {"memory_gb": factor * params["depth"], "macs": 10}

    return cost


def train(params: dict[str, Any], run: Any) -> Any:
    for epoch in range(1, run.epochs + 1):
        yield {"iou": params["depth"] * epoch}


def a_study(factor: float, **changes: Any) -> Study:
    words: dict[str, Any] = {
        "name": "cells",
        "space": Space(Choice("depth", (1, 2, 3, 4))),
        "train": train,
        "objectives": (Maximize("iou"), Minimize("memory_gb")),
        "epochs": 3,
        "trials": 4,
        "asha": Asha(min_epochs=1, reduction_factor=2),
        "cost": cost_of(factor),
        "sampler": "grid",
    }
    return Study(**{**words, **changes})


def report(session: Session, number: int, epoch: int, iou: float) -> Decision:
    seconds = {"epoch": epoch, "epoch_s": 1.0, "elapsed_s": float(epoch)}
    return session.record_report(number, seconds, WorkerInfo(), own={"iou": iou})


@pytest.mark.parametrize("num_reports", [0, 1])
def test_a_resumed_trial_keeps_the_costs_of_its_start(num_reports: int) -> None:
    log = MemoryLog()
    session = Session(a_study(1.0, asha=None), log)
    first = session.next_attempt()
    assert first is not None
    for epoch in range(1, num_reports + 1):
        report(session, first.number, epoch, 0.5)

    session = Session(a_study(10.0, asha=None), log, list(log.rows))
    again = session.next_attempt()
    assert again is not None
    assert again.number == first.number
    assert again.recipe_text == first.recipe_text  # so that its checkpoints are its own
    assert isinstance(again.recipe, OwnRecipe)
    depth = again.recipe.params["depth"]
    for epoch in range(num_reports + 1, 4):
        report(session, again.number, epoch, 0.5)
    (trial,) = log.trials
    assert trial.state is State.COMPLETED
    assert json.loads(trial.objectives)["memory_gb"] == json.loads(trial.metrics)["memory_gb"] == depth
    assert trial.macs == 10
    later = session.next_attempt()
    assert later is not None
    assert isinstance(later.recipe, OwnRecipe)
    assert later.recipe.costs["memory_gb"] == 10 * int(str(later.recipe.params["depth"]))


def test_a_resumed_trial_is_no_longer_judged_by_the_limits() -> None:
    log = MemoryLog()
    limits = {"memory_gb": 4}
    first = Session(a_study(1.0, limits=limits), log).next_attempt()
    again = Session(a_study(10.0, limits=limits), log, list(log.rows)).next_attempt()
    assert first is not None
    assert again is not None
    assert again.number == first.number


def test_rungs_decide_by_the_stored_costs_and_the_audit_agrees() -> None:
    """By the new function, which charges depth the other way, another trial would be the cheapest."""
    decisions = []
    for other in (1.0, -1.0):
        log = MemoryLog()
        session = Session(a_study(1.0), log)
        numbers = [attempt.number for _ in range(4) if (attempt := session.next_attempt())]
        report(session, numbers[0], 1, 0.1)
        report(session, numbers[1], 1, 0.2)
        session = Session(a_study(other), log, list(log.rows))
        while session.next_attempt() is not None:
            pass
        decisions.append([report(session, number, 1, 0.15) for number in numbers[2:]])
        assert not audit(a_study(other), log.rows).differences
    assert decisions[0] == decisions[1]


def test_a_run_says_that_the_cost_function_changed_and_stores_its_digest(tmp_path: Path) -> None:
    def run(factor: float, trials: int) -> list[str]:
        notes: list[str] = []
        study = a_study(factor, trials=trials, asha=None)
        run_study(study, store=str(tmp_path), inline=True, on_note=notes.append)
        return [note for note in notes if "changed" in note]

    assert run(1.0, 2) == []
    assert run(1.0, 3) == []
    (note,) = run(2.0, 4)
    assert note.startswith("cost function changed after trial 2: ")
    assert note.endswith("; the trials before keep their stored costs")
    rows = TrialStore(tmp_path).rows("cells")
    codes = [row.code for row in rows if row.table == "events" and row.kind == "attempt_started"]
    assert codes[0] == codes[1] == codes[2] != codes[3]
    assert codes[0].split("+")[0] == codes[3].split("+")[0]
    starts = [row for row in rows if isinstance(row, StartRow)]
    factors = [costs_of_recipe(row.recipe)["memory_gb"] / json.loads(row.params)["depth"] for row in starts]
    assert factors == [1.0, 1.0, 1.0, 2.0]


def train_with(share: float) -> Any:
    return lambda params, run: {"iou": share}


def test_a_run_says_that_a_captured_value_of_the_training_changed(tmp_path: Path) -> None:
    notes: list[str] = []
    for share, trials in ((0.5, 1), (0.5, 2), (0.6, 3)):
        study = a_study(1.0, train=train_with(share), trials=trials, asha=None, epochs=1)
        run_study(study, store=str(tmp_path), inline=True, on_note=notes.append)
    (note,) = [note for note in notes if "changed" in note]
    assert note.startswith("code changed after trial 1: ")
