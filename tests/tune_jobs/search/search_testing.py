"""Studies for the search's tests, and their rows by short names (`tune_jobs.testing.rows`)."""

from __future__ import annotations

from typing import Any

from eml_models.training.recipe import Recipe
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, Params, When
from tune_jobs.study.rows import State, TrialRow
from tune_jobs.study.space import Space
from tune_jobs.testing.rows import (
    NOON,
    STUDY,
    event_row,
    history_of,
    numbered,
    report_row,
    start_row,
    trial_row,
)
from tune_jobs.testing.simulator import simulate

__all__ = [
    "NOON",
    "end",
    "event",
    "history_of",
    "make_study",
    "numbered",
    "recipe_parameters",
    "report",
    "simulate",
    "start",
]

start, report, event = start_row, report_row, event_row


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
        name=STUDY,
        space=Space(*(parameters or recipe_parameters())),
        recipe=Recipe(learning_rate=0.1, epochs=epochs),
        **{**defaults, **changes},
    )


def end(number: int, state: State, params: Params | None = None, **columns: Any) -> TrialRow:
    return trial_row(number, state, params, **columns)
