"""A study run in this process has the trials, decisions and failures of a run with one worker."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from session_testing import MemoryLog, a_study, table

from eml_models.errors import DivergedError
from eml_models.training.recipe import Recipe
from tune_jobs.study.rows import Failure, State
from tune_jobs.testing.in_process import run_in_process


def fit(recipe: Recipe, **options: Any) -> Iterator[SimpleNamespace]:
    for epoch in range(1, recipe.epochs + 1):
        if recipe.learning_rate > 0.25:
            raise DivergedError("the loss is inf", epoch)
        if recipe.optimizer == "sgd" and epoch == 2 and recipe.learning_rate > 0.05:
            raise ZeroDivisionError("a bug")
        quality = 1 - abs(recipe.learning_rate - 0.1)
        yield SimpleNamespace(epoch=epoch, val_accuracy=quality * epoch / (epoch + 1), own=3)


def test_every_trial_ends_with_its_state_and_failure() -> None:
    log = run_in_process(a_study(fit=fit, trials=24, sampler="random"))
    assert len(log.trials) == 24
    failures = {trial.failure for trial in log.trials}
    assert failures == {None, Failure.DIVERGED, Failure.RAISED}
    assert {State.STOPPED, State.COMPLETED} < {trial.state for trial in log.trials}
    (bug, *_) = (trial for trial in log.trials if trial.failure is Failure.RAISED)
    assert (bug.error, bug.epochs) == ("ZeroDivisionError: a bug", 1)


def test_a_run_continues_from_what_its_log_holds() -> None:
    whole = run_in_process(a_study(fit=fit, trials=12))
    parts = run_in_process(a_study(fit=fit, trials=5))
    run_in_process(a_study(fit=fit, trials=12), parts)
    assert table(parts) == table(whole)


def test_epochs_are_spent_over_all_trials() -> None:
    log = run_in_process(a_study(fit=fit, trials=1000, asha=None), max_epochs=31)
    assert len(log.reports) == 31
    assert isinstance(log, MemoryLog)
    assert log.starts[-1].number not in {trial.number for trial in log.trials}
