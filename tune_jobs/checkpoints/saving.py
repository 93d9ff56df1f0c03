"""Saves a training while it runs, and resumes it in a later attempt: one attempt's use of `Checkpoints`.

Called by the worker around its loop; imports no Ray. A training is saved if it has ``snapshot()``, as
`eml_models.Fit` has. Any other training begins anew at each attempt, and reports the same epochs again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.checkpoints.files import Checkpoints, ReadOwner

READ_PAUSES_S = (0.0, 2.0, 10.0)
"""Seconds to wait before each try to read the checkpoints."""

WEIGHTS, CHECKPOINT = "weights after the last epoch", "checkpoint to resume from"


@dataclass(slots=True, kw_only=True)
class Saving:
    """The saving of one attempt.

    Attributes:
        period_s: seconds between two saves; 0 saves after each epoch. Not counted in epochs, so that short
            epochs are not slowed.
        resumed_from_epoch: the number of epochs that this attempt did not train again.
        passed_over: the reasons why checkpoints were not used; None if no checkpoint was passed over.
        unsaved: saves that failed since the last message to the driver: the reason for each of `WEIGHTS` and
            `CHECKPOINT`.
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
        """Start the training, from the last undamaged checkpoint of an earlier attempt if there is any."""
        self._recipe = recipe.to_json()
        problems: list[str] = []
        training = self._resume(fit, recipe, problems, options) if self.attempt > 1 else None
        if problems:
            self.passed_over = "; ".join(problems).encode(errors="replace").decode()  # it becomes JSON
        return fit(recipe, resume_from=None, **options) if training is None else training

    def _resume(
        self, fit: Callable[..., Iterable[Any]], recipe: Recipe, problems: list[str], options: dict[str, Any]
    ) -> Iterable[Any] | None:
        found = iter_resumable(self.checkpoints, self.number, self.attempt, self._recipe, problems)
        for path in found:
            try:
                training = fit(recipe, resume_from=path, **options)
            except InvalidValueError as error:  # of other data, so the training cannot be resumed from it
                problems.append(str(error))
                continue
            self.resumed_from_epoch = getattr(training, "epoch", 0)
            return training
        return None

    def before_report(self, training: Any, report: Any) -> None:
        """Save the weights after the last epoch, since the trial ends with that epoch's report."""
        if report.epoch >= self.epochs:
            self._save(training, final=True)

    @property
    def is_due(self) -> bool:
        """Whether `period_s` has passed since the last save."""
        return time.monotonic() - self._saved_at >= self.period_s

    def after_report(self, training: Any) -> None:
        """Save if it is due; the driver has recorded the report by now."""
        if self.is_due:
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
        """Return `unsaved` and clear it."""
        taken, self.unsaved = self.unsaved, {}
        return taken


def iter_resumable(
    checkpoints: Checkpoints,
    number: int,
    attempt: int,
    recipe: str,
    problems: list[str],
    *,
    read_owner: ReadOwner | None = None,
) -> Iterator[Path]:
    """Files of the earlier attempts of a trial, as `Checkpoints.iter_living` yields them.

    A store that cannot be read is asked again. If it stays away, that is one of the problems: it costs the
    saved epochs and not the trial.
    """
    recipes, num_known = dict.fromkeys(range(1, attempt), recipe), len(problems)
    problem: OSError | None = None
    for pause_s in READ_PAUSES_S:
        time.sleep(pause_s)
        del problems[num_known:]
        try:
            yield from checkpoints.iter_living(number, recipes, problems, read_owner=read_owner)
            return
        except OSError as error:
            problem = error
    problems.append(str(problem))
