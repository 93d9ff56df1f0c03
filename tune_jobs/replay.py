"""Trains a stored trial again from its row and compares, epoch by epoch. On a CPU the two agree to the bit.

Uses the recipe that the trial's first attempt was started with; what has changed since (commit, versions,
device, data) is named, so that a difference can be understood.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.recipe import Recipe
from tune_jobs.definition import NEEDS_CODE, SHIPPED_FITS
from tune_jobs.trial import ReportRow, Row, StartRow, TrialRow

COMPARED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedEpoch:
    """One epoch, as stored and as trained again: the values of `COMPARED`."""

    epoch: int
    stored: tuple[float | None, ...]
    replayed: tuple[float | None, ...]

    @property
    def equal(self) -> bool:
        return self.stored == self.replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    """What a replay needs of a trial: its recipe, its first-acknowledged reports, and how it ended."""

    recipe: Recipe
    reports: tuple[ReportRow, ...]
    end: TrialRow | None


def stored_trial(rows: Sequence[Row], number: int, *, fit: str) -> StoredTrial:
    """The trial of that number.

    Args:
        fit: the training function that the study's definition names.

    Raises:
        InvalidValueError: no such trial was trained, or a function of the user's own trained it.
    """
    recipe = stored_recipe(rows, number)
    if fit not in SHIPPED_FITS:
        raise InvalidValueError(f"the study is trained by {fit}; call that with the recipe in starts.recipe")
    reports: dict[int, ReportRow] = {}
    for row in rows:
        if isinstance(row, ReportRow) and row.number == number:
            reports.setdefault(row.epoch, row)
    end = next((row for row in rows if isinstance(row, TrialRow) and row.number == number), None)
    return StoredTrial(
        recipe=recipe,
        reports=tuple(reports[epoch] for epoch in sorted(reports)),
        end=end,
    )


def stored_recipe(rows: Sequence[Row], number: int) -> Recipe:
    """The recipe that the first attempt of a trial was started with.

    Raises:
        InvalidValueError: no such trial was trained, or its recipe names a network or data set that is not
            registered in this process.
    """
    starts = {row.number: row for row in reversed(rows) if isinstance(row, StartRow)}
    if number not in starts:
        known = f"0 to {max(starts)}" if starts else "none"
        raise InvalidValueError(f"trial {number} was never trained; the trained ones are {known}")
    try:
        return Recipe.from_json(starts[number].recipe)
    except InvalidValueError as error:
        raise InvalidValueError(f"trial {number} {NEEDS_CODE.format(error=error)}") from error


def iter_replay(trial: StoredTrial, *, device: str, data_dir: str | None) -> Iterator[ReplayedEpoch]:
    """Train again as far as the trial came; one item an epoch."""
    from eml_models.train import fit

    for stored, again in zip(
        trial.reports, fit(trial.recipe, device=device, data_dir=data_dir), strict=False
    ):
        yield ReplayedEpoch(epoch=again.epoch, stored=_values(stored), replayed=_values(again))


def list_changes(trial: StoredTrial, *, git_commit: str | None, torch_version: str, device: str) -> list[str]:
    """What differs between then and now, one line each."""
    if trial.end is None:
        return []
    then_and_now = {
        "commit": (trial.end.git_commit, git_commit),
        "torch": (trial.end.torch_version, torch_version),
        "device": ((trial.end.device or "").split(":")[0], device),
    }
    return [
        f"{name}: was {was}, is now {now}" for name, (was, now) in then_and_now.items() if was and was != now
    ]


def _values(report: Any) -> tuple[float | None, ...]:
    return tuple(getattr(report, name) for name in COMPARED)
