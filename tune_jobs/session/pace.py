"""The measured time of an epoch of a study, from the rows of a store: its own, or those of the same recipe.

A function of rows and of this machine's name. A dry run estimates its time from it (`forecast`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

from tune_jobs.session.forecast import Pace
from tune_jobs.study.bindings import OF_THE_STUDY, RECIPE_FIELDS
from tune_jobs.study.definition import Study
from tune_jobs.study.fits import name_of_fit
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.rows import ReportRow, Row

DECIDING = (
    "model",
    "model_options",
    "dataset",
    "batch_size",
    "max_train_samples",
    "train_on",
    "validation_fraction",
    "precision",
    "channels_last",
    "augmentation",
    "cutout",
    "ema_decay",
)
"""The fields of a recipe that decide how long an epoch takes. The optimizer costs little beside them."""

MOST_EPOCHS = 10_000
"""The newest epochs of other studies to look at."""


def epochs_sql(hostname: str) -> str:
    """The query for the newest epochs of a machine; `measured_epochs` reads its answer."""
    quoted = hostname.replace("'", "''")
    return f"""
        select t.study, s.definition, r.recipe, e.epoch_s, t.device, e.reported_at
        from reports e
        join trials t on t.trial_id = e.trial_id
        join starts r on r.trial_id = e.trial_id and r.attempt = e.attempt
        join studies s on s.study = t.study
        where e.epoch_s is not null and t.hostname = '{quoted}'
        order by e.reported_at desc limit {MOST_EPOCHS}
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredEpoch:
    """An epoch of any study of a store.

    Attributes:
        fit: the name of the function that trained it.
        recipe: of its attempt.
        device: of its worker, such as ``cuda: NVIDIA H200``.
    """

    study: str
    fit: str
    recipe: Mapping[str, Any]
    epoch_s: float
    device: str
    reported_at: datetime


def own_pace(rows: Iterable[Row]) -> Pace | None:
    """The pace of a study's own epochs; None if no report says how long its epoch took."""
    seconds = [row.epoch_s for row in rows if isinstance(row, ReportRow) and row.epoch_s is not None]
    if not seconds:
        return None
    return Pace(epoch_s=fmean(seconds), count=len(seconds), source="this study")


def pace_of_same_recipe(study: Study, epochs: Iterable[MeasuredEpoch], *, device: str) -> Pace | None:
    """The pace of the same recipe in the study that trained it last; None if no study did.

    Fields that this study searches may have any value that it may propose. If it searches the network itself,
    or trains by a function of its user, no other study is the same.

    Args:
        device: of the run: ``cpu``, ``cuda``, or ``auto`` for either.
    """
    if study.has_own_fit or any(p.name not in RECIPE_FIELDS | OF_THE_STUDY for p in study.space.parameters):
        return None
    if study.candidates or OF_THE_STUDY & {*study.space.names} - {"repeat"}:
        return None
    fit = name_of_fit(study.fit)
    found: dict[tuple[str, str], list[MeasuredEpoch]] = defaultdict(list)
    for epoch in epochs:
        kind = epoch.device.partition(":")[0]
        if epoch.fit == fit and device in (kind, "auto") and _is_same(study, epoch.recipe):
            found[epoch.study, kind].append(epoch)
    if not found:
        return None
    (name, kind), newest = max(found.items(), key=lambda item: max(e.reported_at for e in item[1]))
    return Pace(
        epoch_s=fmean(epoch.epoch_s for epoch in newest),
        count=len(newest),
        source=f"study {name!r} with the same recipe on this machine ({kind})",
    )


def _is_same(study: Study, recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe takes the time of a recipe of this study."""
    own = study.shipped_recipe.as_dict()
    for name in DECIDING:
        if name in study.space.names:
            if study.space[name].problem_of(recipe.get(name)) is not None:
                return False
        elif recipe.get(name) != own[name]:
            return False
    return True


def measured_epochs(answer: Sequence[Sequence[Any]]) -> list[MeasuredEpoch]:
    """The rows of the answer to `epochs_sql` as values."""
    return [
        MeasuredEpoch(
            study=study,
            fit=parse_object(definition)["fit"],
            recipe=parse_object(recipe),
            epoch_s=epoch_s,
            device=device or "",
            reported_at=reported_at,
        )
        for study, definition, recipe, epoch_s, device, reported_at in answer
    ]
