"""Rows of studies for tests of figures: any number of trials, params and objectives; hostile texts."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tune_jobs import Asha, Choice, Float, Maximize, Minimize, Space, Study
from tune_jobs.report.figures.seen import Seen
from tune_jobs.study.rows import Decision, EventKind, Failure, Row, State
from tune_jobs.testing.rows import NOON, event_row, numbered, report_row, start_row, trial_row

MARKUP = "<script>alert('x')</script>"
RUNGS = (1, 3)
EPOCHS = 9


def train(params: dict[str, Any], run: Any) -> Iterator[dict[str, object]]:
    yield {"iou": params["p0"]}


def a_study(*, objectives: int = 1, parameters: int = 3, rungs: bool = True) -> Study:
    """A study of own training with hostile names of levels and metrics; without rungs it stops no trial."""
    choice = Choice("optimizer", ("sgd", "adam", MARKUP))
    ranges = [Float(f"p{index}", 1e-3, 1.0, log=True) for index in range(parameters - 1)]
    others = [Minimize(f"{MARKUP.replace(chr(39), '')}.[{index}]") for index in range(1, objectives)]
    return Study(
        name="drawn",
        space=Space(*([choice] if parameters > 1 else [Float("p0", 1e-3, 1.0, log=True)]), *ranges),
        train=train,
        epochs=EPOCHS,
        objectives=(Maximize("iou"), *others),
        asha=Asha(min_epochs=RUNGS[0], reduction_factor=3) if rungs else None,
    )


def seen_of(num_trials: int, *, state: State | None = None, **changes: int) -> Seen:
    """A study of this many trials; some are stopped at rungs, and every tenth fails.

    Args:
        state: in which all end; None for ends of all kinds.
        changes: `objectives` and `parameters`, how many; `rungs`, whether there are any.
    """
    study = a_study(**changes)
    drawn = random.Random(7)
    rows: list[Row] = [event_row(EventKind.SESSION_STARTED, study=study.name, detail='{"workers":2}')]
    for number in range(num_trials):
        rows += _trial(study, number, drawn, state)
    definition = json.loads(json.dumps(study.definition()))
    return Seen(name=study.name, definition=definition, rows=numbered(*rows))


def _trial(study: Study, number: int, drawn: random.Random, state: State | None) -> list[Row]:
    params = {
        name: drawn.choice(("sgd", "adam", MARKUP)) if name == "optimizer" else 10 ** drawn.uniform(-3, 0)
        for name in study.space.names
    }
    quality = drawn.random()
    end = state or (State.FAILED if number % 10 == 9 else State.STOPPED if quality < 0.5 else State.COMPLETED)
    epochs = {State.COMPLETED: EPOCHS, State.STOPPED: RUNGS[number % 2], State.FAILED: 1}[end]
    at = NOON + timedelta(seconds=10 * number)
    names = [objective.metric for objective in study.objectives]
    rows: list[Row] = [start_row(number, params, study=study.name, started_at=at)]
    values: dict[str, float] = {}
    for epoch in range(1, epochs + 1):
        values = {name: quality * (1 - math.exp(-epoch)) + 0.01 * drawn.random() for name in names}
        decided: dict[str, Any] = {}
        if study.rungs and epoch in RUNGS and end is not State.FAILED:
            stops = end is State.STOPPED and epoch == epochs
            decided = {
                "decision": Decision.STOP if stops else Decision.CONTINUE,
                "decision_reason": "a test",
                "history_seq": 1,
            }
        rows.append(
            report_row(
                number,
                epoch,
                study=study.name,
                metrics=json.dumps(values),
                epoch_s=1.0,
                reported_at=at + timedelta(seconds=epoch),
                **decided,
            )
        )
    failed = end is State.FAILED
    rows.append(
        trial_row(
            number,
            end,
            params,
            study=study.name,
            objective=None if failed else values["iou"],
            objectives="{}" if failed else json.dumps(values),
            epochs=epochs,
            failure=Failure.RAISED if failed else None,
            reason=f"raised {MARKUP}" if failed else "a test",
            ended_at=at + timedelta(seconds=epochs + 0.5),
        )
    )
    return rows
