"""Trains a stored trial again from its row and compares the two trainings, epoch by epoch.

On a CPU they agree to the bit, and on CUDA if both used deterministic kernels. Other kernels of CUDA add in
another order each time, and training makes such a difference larger: then the validation accuracies must
agree within a tolerance, and the other values are only shown.

Own training is run again by the command, because it needs the user's code; here its metrics are compared,
each to the bit (`compare_own`).

Uses the recipe of the trial's first attempt. `list_changes` names the changes since then (code, commit,
versions, device), which may explain a difference. Called by the command ``replay``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.training.kernels import Kernels
from eml_models.training.recipe import Recipe
from tune_jobs.analysis.code_changes import code_of_trial
from tune_jobs.study.events import AttemptStarted, detail_of
from tune_jobs.study.field_kinds import Scalar
from tune_jobs.study.fits import SHIPPED_FITS
from tune_jobs.study.json_fields import metrics_from_json, parse_object
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.rows import EventRow, ReportRow, Row, StartRow, TrialRow
from tune_jobs.study.stored import NEEDS_CODE

NONE_TRAINED = "no trial of the study has been trained yet, so run it first"

COMPARED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedEpoch:
    """One epoch, as stored and as trained again: the values of `COMPARED`.

    Attributes:
        tolerance: by how much the validation accuracies may differ; None if all must be equal to the bit.
    """

    epoch: int
    stored: tuple[float | None, ...]
    replayed: tuple[float | None, ...]
    tolerance: float | None = None

    @property
    def equal(self) -> bool:
        """Whether all values are equal to the bit."""
        return self.stored == self.replayed

    @property
    def agrees(self) -> bool:
        """Whether the two trainings agree: to the bit, or within the tolerance if there is one."""
        if self.tolerance is None or self.equal:
            return self.equal
        stored, replayed = (dict(zip(COMPARED, v, strict=True)) for v in (self.stored, self.replayed))
        ours, theirs = stored["val_accuracy"], replayed["val_accuracy"]
        if ours is None or theirs is None:
            return ours is theirs
        return abs(ours - theirs) <= self.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedMetric:
    """A metric of own training after an epoch, as stored and as trained again; None where it is missing."""

    epoch: int
    metric: str
    stored: Scalar | None
    replayed: Scalar | None

    @property
    def equal(self) -> bool:
        """Whether both values are equal to the bit."""
        return self.stored == self.replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    """A trial as a replay needs it.

    Attributes:
        recipe: the recipe of its first attempt.
        reports: the first acknowledged report of each epoch, in order of epoch.
        end: the row of its end; None while it is unfinished.
        devices: the kinds of device of its attempts (``cpu``, ``cuda``).
        kernels: how its attempts chose their kernels on CUDA.
        code: the digest of the code that its last attempt had loaded; None if no digest is stored.
    """

    recipe: Recipe | OwnRecipe
    reports: tuple[ReportRow, ...]
    end: TrialRow | None
    devices: frozenset[str] = frozenset()
    kernels: frozenset[str] = frozenset()
    code: str | None = None

    @property
    def repeats_on_cuda(self) -> bool:
        """Whether all its attempts trained on CUDA with deterministic kernels."""
        return self.devices == {"cuda"} and self.kernels == {Kernels.DETERMINISTIC}


def stored_trial(rows: Sequence[Row], number: int, *, fit: str) -> StoredTrial:
    """The trial of this number.

    Args:
        fit: the name of the training function in the study's definition.

    Raises:
        InvalidValueError: no such trial was trained, or a user's function trained its recipe.
    """
    text = require_started(rows, number)[0].recipe
    recipe = OwnRecipe.from_json(text) if is_own_recipe(text) else stored_recipe(rows, number)
    if isinstance(recipe, Recipe) and fit not in SHIPPED_FITS:
        raise InvalidValueError(
            f"only trials of the shipped training can be replayed; this study was trained by {fit}."
            f" Call {fit} with the recipe in column recipe of the view starts"
        )
    reports: dict[int, ReportRow] = {}
    for row in rows:
        if isinstance(row, ReportRow) and row.number == number:
            reports.setdefault(row.epoch, row)
    end = next((row for row in rows if isinstance(row, TrialRow) and row.number == number), None)
    of_trial = [row for row in rows if isinstance(row, EventRow) and row.number == number]
    begun = [(row, detail) for row in of_trial if isinstance(detail := detail_of(row), AttemptStarted)]
    return StoredTrial(
        recipe=recipe,
        reports=tuple(reports[epoch] for epoch in sorted(reports)),
        end=end,
        code=code_of_trial(rows, number),
        devices=frozenset((row.device or "").partition(":")[0] for row, _ in begun),
        kernels=frozenset(str(detail.kernels) for _, detail in begun),
    )


def stored_recipe(rows: Sequence[Row], number: int) -> Recipe:
    """The recipe of a trial's first attempt.

    Raises:
        InvalidValueError: no such trial was trained, its training is the user's own, or its recipe names a
            network or data set that is not registered in this process.
    """
    first = require_started(rows, number)[0]
    if is_own_recipe(first.recipe):
        raise InvalidValueError(
            f"trial {number} was trained by its study's own function, so the store has its params and knows"
            " no network of it; report its latency as a metric, or register the network's family"
            " (eml_models.register_model) and name that"
        )
    try:
        return Recipe.from_json(first.recipe)
    except InvalidValueError as error:
        raise InvalidValueError(f"the study of trial {number} {NEEDS_CODE.format(error=error)}") from error


def is_own_recipe(text: str) -> bool:
    """Whether the text of a start's recipe is that of own training, which holds the params."""
    return "params" in parse_object(text)


def require_started(rows: Sequence[Row], number: int) -> list[StartRow]:
    """The rows of a trial's starts in their order, one for each attempt.

    Raises:
        InvalidValueError: no such trial was trained.
    """
    starts = [row for row in rows if isinstance(row, StartRow)]
    of_trial = [row for row in starts if row.number == number]
    if not of_trial:
        known = (
            f"the trained ones are {_in_words({row.number for row in starts})}" if starts else NONE_TRAINED
        )
        refused = any(isinstance(row, TrialRow) and row.number == number for row in rows)
        why = ", because a limit refused it" if refused else ""
        raise InvalidValueError(f"trial {number} was never trained{why}; {known}")
    return of_trial


def _in_words(numbers: Iterable[int]) -> str:
    """Numbers as in ``0, 2 to 5``; of more than ten gaps, the first."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join([" to ".join(map(str, run)) for run in runs[:10]] + ["..."] * (len(runs) > 10))


def begin_replay(trial: StoredTrial, *, device: str, data_dir: str | None) -> Any:
    """The training of the trial from its beginning, as `eml_models.fit` gives it.

    Uses deterministic kernels if the trial did.
    """
    from eml_models.training.loop import fit

    kernels = Kernels.DETERMINISTIC if trial.repeats_on_cuda else Kernels.DEFAULT
    assert isinstance(trial.recipe, Recipe)
    return fit(trial.recipe, device=device, data_dir=data_dir, kernels=kernels)


def iter_replay(trial: StoredTrial, training: Any, *, device: str) -> Iterator[ReplayedEpoch]:
    """Train again up to the trial's last report; yields an item for each epoch that has a stored report.

    Args:
        training: of `begin_replay`, on this device; it has then trained as many epochs as the trial.
    """
    if not trial.reports:
        return
    to_the_bit = device == "cpu" or trial.repeats_on_cuda
    stored = {report.epoch: report for report in trial.reports}
    for again in training:
        if (report := stored.get(again.epoch)) is not None:
            tolerance = None if to_the_bit else tolerance_of(report.val_accuracy, training.num_validation)
            yield ReplayedEpoch(
                epoch=again.epoch, stored=_values(report), replayed=_values(again), tolerance=tolerance
            )
        if again.epoch == max(stored):
            return


def compare_own(trial: StoredTrial, again: Mapping[int, Mapping[str, Scalar | None]]) -> list[ReplayedMetric]:
    """Every metric of each stored report of own training, beside its value in a second training.

    Args:
        again: the metrics of the second training by epoch, as a row holds them.
    """
    compared = []
    for report in trial.reports:
        stored, replayed = metrics_from_json(report.metrics), again.get(report.epoch, {})
        compared += [
            ReplayedMetric(
                epoch=report.epoch, metric=name, stored=stored.get(name), replayed=replayed.get(name)
            )
            for name in sorted(stored.keys() | replayed.keys())
        ]
    return compared


def tolerance_of(accuracy: float | None, num_images: int) -> float:
    """The largest difference in accuracy, on `num_images` images, between two trainings of a recipe and seed.

    Three standard errors of the accuracy, for which at least one image counts as wrong and one as right.
    """
    if accuracy is None or not num_images:
        return 0.0
    share = min(max(accuracy, 1 / num_images), 1 - 1 / num_images)
    return 3 * math.sqrt(share * (1 - share) / num_images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The commit, versions and device of a replay; `code` is the digest of the training code."""

    git_commit: str | None
    torch_version: str
    device: str
    code: str


def list_changes(trial: StoredTrial, now: Surroundings) -> list[str]:
    """The differences between the stored training and the replay, a line for each."""
    if trial.end is None:
        return []
    then_and_now = {
        "code": (trial.code, now.code),
        "commit": (trial.end.git_commit, now.git_commit),
        "torch": (trial.end.torch_version, now.torch_version),
        "device": ((trial.end.device or "").split(":")[0], now.device),
    }
    return [
        f"{name}: was {was}, is now {now}" for name, (was, now) in then_and_now.items() if was and was != now
    ]


def _values(report: Any) -> tuple[float | None, ...]:
    return tuple(getattr(report, name) for name in COMPARED)
