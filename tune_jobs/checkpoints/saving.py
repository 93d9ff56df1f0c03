"""Saves a training while it runs, and begins it where it was saved: one attempt's use of `Checkpoints`.

Called by the worker around its loop; knows no Ray. A training function whose result has ``snapshot()`` (as
`eml_models.Fit` has) is saved; any other begins anew at each attempt and reports the same epochs again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.checkpoints.files import Checkpoints

READ_PAUSES_S = (0.0, 2.0, 10.0)
"""Before each try to find out what to go on from."""

WEIGHTS, CHECKPOINT = "weights after the last epoch", "checkpoint to go on from"


@dataclass(slots=True, kw_only=True)
class Saving:
    """The saving of one attempt.

    Attributes:
        period_s: seconds of training after which it is saved again; 0 saves after each epoch. By time, so
        that short epochs are not slowed.
        resumed_from_epoch: the epochs that it did not have to train again.
        passed_over: why a checkpoint that it could have gone on from was not used; None if none was.
        unsaved: what could not be saved since the driver was last told: why, by what it was.
    """

    checkpoints: Checkpoints
    number: int
    attempt: int
    epochs: int
    period_s: float
    resumed_from_epoch: int = 0
    passed_over: str | None = None
    unsaved: dict[str, str] = field(default_factory=dict)
    _saved_at: float = field(default_factory=time.monotonic)
    _recipe: str = ""

    def begin(self, fit: Callable[..., Iterable[Any]], recipe: Recipe, **options: Any) -> Iterable[Any]:
        """The training, gone on with where an earlier attempt was last saved whole, else from its start."""
        self._recipe = recipe.to_json()
        problems: list[str] = []
        training = self._resume(fit, recipe, problems, options) if self.attempt > 1 else None
        if problems:
            self.passed_over = "; ".join(problems).encode(errors="replace").decode()  # it becomes JSON
        return fit(recipe, resume_from=None, **options) if training is None else training

    def _resume(
        self, fit: Callable[..., Iterable[Any]], recipe: Recipe, problems: list[str], options: dict[str, Any]
    ) -> Iterable[Any] | None:
        for path in self._iter_checkpoints(problems):
            try:
                training = fit(recipe, resume_from=path, **options)
            except InvalidValueError as error:  # other data: what it holds cannot be gone on from
                problems.append(str(error))
                continue
            self.resumed_from_epoch = getattr(training, "epoch", 0)
            return training
        return None

    def _iter_checkpoints(self, problems: list[str]) -> Iterator[Path]:
        recipes, num_known = dict.fromkeys(range(1, self.attempt), self._recipe), len(problems)
        problem: OSError | None = None
        for pause_s in READ_PAUSES_S:
            time.sleep(pause_s)
            del problems[num_known:]
            try:
                yield from self.checkpoints.iter_living(self.number, recipes, problems)
                return
            except OSError as error:  # without the store for long, it costs its epochs and not the trial
                problem = error
        problems.append(str(problem))

    def before_report(self, training: Any, report: Any) -> None:
        """Save the weights after the last epoch; the trial ends with its report."""
        if report.epoch >= self.epochs:
            self._save(training, final=True)

    def after_report(self, training: Any) -> None:
        """Save if it is time; the driver has the report by now."""
        if time.monotonic() - self._saved_at >= self.period_s:
            self._save(training, final=False)
            self._saved_at = time.monotonic()

    def _save(self, training: Any, *, final: bool) -> None:
        snapshot = getattr(training, "snapshot", None)
        if snapshot is None:
            return
        try:
            self.checkpoints.save(self.number, self.attempt, snapshot(), recipe=self._recipe, final=final)
        except OSError as error:  # a full disk costs the checkpoint, not the trial
            self.unsaved[WEIGHTS if final else CHECKPOINT] = str(error)

    def take_unsaved(self) -> dict[str, str]:
        """`unsaved`, which is told by that."""
        taken, self.unsaved = self.unsaved, {}
        return taken
