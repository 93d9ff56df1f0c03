"""Saves a training while it runs, and begins it where it was saved: one attempt's use of `Checkpoints`.

Called by the worker around its loop; knows no Ray. A training function whose result has ``snapshot()`` (as
`eml_models.Fit` has) is saved; any other begins anew at each attempt and reports the same epochs again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.recipe import Recipe
from tune_jobs.checkpoints import Checkpoints

logger = logging.getLogger(__name__)

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
        unsaved: what could not be saved since the driver was last told: why, by what it was.
    """

    checkpoints: Checkpoints
    number: int
    attempt: int
    epochs: int
    period_s: float
    resumed_from_epoch: int = 0
    unsaved: dict[str, str] = field(default_factory=dict)
    _saved_at: float = field(default_factory=time.monotonic)

    def begin(self, fit: Callable[..., Iterable[Any]], recipe: Recipe, **options: Any) -> Iterable[Any]:
        """The training, gone on with where an earlier attempt was saved, else from its start."""
        path = self._latest() if self.attempt > 1 else None
        if path is None:
            return fit(recipe, resume_from=None, **options)
        try:
            training = fit(recipe, resume_from=path, **options)
        except InvalidValueError as error:  # torn, or other data: what it holds cannot be gone on from
            logger.warning("trial %d starts again from its first epoch: %s", self.number, error)
            return fit(recipe, resume_from=None, **options)
        self.resumed_from_epoch = getattr(training, "epoch", 0)
        return training

    def _latest(self) -> Path | None:
        problem: OSError | None = None
        for pause_s in READ_PAUSES_S:
            time.sleep(pause_s)
            try:
                return self.checkpoints.latest(self.number)
            except OSError as error:  # without the store for long, it costs its epochs and not the trial
                problem = error
        logger.warning("trial %d starts again from its first epoch: %s", self.number, problem)
        return None

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
            self.checkpoints.save(self.number, self.attempt, snapshot(), final=final)
        except OSError as error:  # a full disk costs the checkpoint, not the trial
            self.unsaved[WEIGHTS if final else CHECKPOINT] = str(error)

    def take_unsaved(self) -> dict[str, str]:
        """`unsaved`, which is told by that."""
        taken, self.unsaved = self.unsaved, {}
        return taken
