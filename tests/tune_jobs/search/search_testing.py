"""Rows for the search's tests, and a simulator: workers that train nothing, on curves that a test makes up.

The simulator shares the real sampler, the real ASHA rule and the real history with the session; only time
and training are made up. `simulate` is deterministic in its arguments.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from eml_models.training.recipe import Recipe
from tune_jobs.search.asha import decide
from tune_jobs.search.history import History
from tune_jobs.search.sampler import Sampler, build_sampler
from tune_jobs.study.definition import Asha, Study
from tune_jobs.study.rows import (
    Decision,
    EventKind,
    EventRow,
    Failure,
    ReportRow,
    Row,
    StartRow,
    State,
    TrialRow,
    as_json_text,
    trial_id,
)
from tune_jobs.study.space import Choice, Constant, Float, Integer, Parameter, Params, Space, When

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NAME = "s"


def recipe_parameters() -> tuple[Parameter, ...]:
    """A bit of everything: choices, log, steps, whole numbers, conditions, a single value, a constant."""
    return (
        Choice("optimizer", ("sgd", "sgd_momentum", "adam")),
        Float("learning_rate", 1e-4, 1.0, log=True),
        Float("momentum", 0.5, 0.99, when=When("optimizer", ("sgd_momentum",))),
        Choice("nesterov", (True, False), when=When("optimizer", ("sgd_momentum",))),
        Float("dropout", 0.1, 0.5, step=0.1),
        Integer("width", 8, 64, step=8),
        Integer("batch_size", 16, 256, log=True),
        Choice("only", ("one",)),
        Constant("fixed", (1, 2)),
    )


def make_study(*parameters: Parameter, epochs: int = 9, **changes: Any) -> Study:
    defaults: dict[str, Any] = {"asha": Asha(), "trials": 24}
    return Study(
        name=NAME,
        space=Space(*(parameters or recipe_parameters())),
        recipe=Recipe(learning_rate=0.1, epochs=epochs),
        **{**defaults, **changes},
    )


def start(number: int, params: Params | None = None, *, attempt: int = 1, **changes: Any) -> StartRow:
    row = StartRow(
        study=NAME,
        trial_id=trial_id(NAME, number),
        number=number,
        attempt=attempt,
        history_seq=0,
        params=as_json_text(params or {}),
        recipe="{}",
        seed=1,
        started_at=NOON,
    )
    return replace(row, **changes)


def report(number: int, epoch: int, value: float | None, *, attempt: int = 1, **changes: Any) -> ReportRow:
    row = ReportRow(
        study=NAME,
        trial_id=trial_id(NAME, number),
        number=number,
        attempt=attempt,
        epoch=epoch,
        val_accuracy=value,
        reported_at=NOON + timedelta(seconds=epoch),
    )
    return replace(row, **changes)


def end(number: int, state: State, params: Params | None = None, **changes: Any) -> TrialRow:
    row = TrialRow(
        study=NAME,
        trial_id=trial_id(NAME, number),
        number=number,
        attempt=0 if state is State.INFEASIBLE else 1,
        state=state,
        reason=f"{state} because a test says so",
        failure=Failure.RAISED if state is State.FAILED else None,
        params=as_json_text(params or {}),
        seed=1,
        ended_at=NOON + timedelta(minutes=1),
    )
    return replace(row, **changes)


def event(kind: EventKind, number: int | None = None, **changes: Any) -> EventRow:
    row = EventRow(
        study=NAME,
        kind=kind,
        session="x",
        number=number,
        trial_id=None if number is None else trial_id(NAME, number),
        attempt=None if number is None else 1,
        happened_at=NOON,
    )
    return replace(row, **changes)


def numbered(*rows: Row) -> list[Row]:
    """The rows as a store would acknowledge them, one after the other."""
    return [replace(row, seq=seq) for seq, row in enumerate(rows, start=1)]


def history_of(study: Study, *rows: Row) -> History:
    return History.from_rows(study, numbered(*rows))


@dataclass(slots=True)
class Log:
    """A history and the rows that made it."""

    history: History
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        row = replace(row, seq=len(self.rows) + 1)
        self.rows.append(row)
        self.history.apply(row)


Curve = Callable[[Params, int, int], float | None]
"""(params, number, epoch) -> the value reported after that epoch; None where training diverges."""


def simulate(
    study: Study,
    curve: Curve,
    *,
    workers: int = 2,
    seconds: Callable[[Params, int], float] = lambda params, number: 1.0,
    refused: Callable[[Params, int], int | None] = lambda params, number: None,
    sampler: Sampler | None = None,
) -> Log:
    """Run a study to its end.

    Args:
        curve: what is reported.
        seconds: how long an epoch takes; decides in which order reports arrive.
        refused: the MACs of a proposal that is refused, or None.
    """
    log, sampler = Log(History(study)), sampler or build_sampler(study)
    queue: list[tuple[float, int, int]] = []
    now = 0.0
    while True:
        while len(queue) < workers and log.history.num_trained + len(queue) < study.trials:
            handed_out = _hand_out(log, sampler, refused)
            if handed_out is None:
                break
            params = log.history.trials[handed_out].params
            heapq.heappush(queue, (now + seconds(params, handed_out), handed_out, 1))
        if not queue:
            return log
        now, number, epoch = heapq.heappop(queue)
        params = log.history.trials[number].params
        if _train(study, log, curve, number, epoch):
            heapq.heappush(queue, (now + seconds(params, number), number, epoch + 1))


def _hand_out(log: Log, sampler: Sampler, refused: Callable[[Params, int], int | None]) -> int | None:
    while True:
        number, known = log.history.next_number, log.history.seq
        params = sampler.propose(log.history, number)
        if params is None:
            return None
        macs = refused(params, number)
        if macs is None:
            log.add(start(number, params, history_seq=known))
            return number
        log.add(end(number, State.INFEASIBLE, params, macs=macs, history_seq=known))


def _train(study: Study, log: Log, curve: Curve, number: int, epoch: int) -> bool:
    """One epoch of a trial; whether it goes on."""
    params = log.history.trials[number].params
    value = curve(params, number, epoch)
    if value is None:
        log.add(end(number, State.FAILED, params, failure=Failure.DIVERGED))
        return False
    verdict = decide(study, log.history, number, epoch, {study.objective.metric: value})
    decision, reason = (verdict.decision, verdict.reason) if verdict else (None, None)
    row = report(number, epoch, None, decision=decision, decision_reason=reason)
    log.add(replace(row, **{study.objective.metric: value}))
    if decision is Decision.STOP:
        log.add(end(number, State.STOPPED, params, objective=value, reason=reason or ""))
    elif epoch >= study.recipe.epochs:
        log.add(end(number, State.COMPLETED, params, objective=value))
    else:
        return True
    return False
