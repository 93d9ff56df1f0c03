"""A study made so small that it ends within minutes on a CPU, with the data at hand: ``--scale smoke``.

The small study shows that the study runs, and how its tables look. Its results say nothing about the full
study, so it has another name, and the two never mix. Pure, except that it looks for data sets in the data
folder. Called by `tune_jobs.cli`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from eml_models.data.datasets import SHIPPED as SHIPPED_DATASETS
from eml_models.data.datasets import data_folder, get_dataset_spec
from eml_models.data.places import describe_misplaced, missing_files
from eml_models.networks.registry import get_model
from eml_models.training.recipe import Recipe
from tune_jobs.feasible.cost import count_cost
from tune_jobs.study.definition import Study
from tune_jobs.study.fits import name_of_fit
from tune_jobs.study.method import Limits, SamplerName

SCALES = ("full", "smoke")
SUFFIX = "-smoke"

MAX_TRIALS = 12
MAX_GRID_TRIALS = 375
"""The limit for a grid, higher because a cell of its table is empty for each trial that is cut."""

MAX_EPOCHS = 6
MAX_TRAIN_SAMPLES = 1000
VALIDATION_FRACTION = 0.02
"""Share of a large data set: validating on a fifth of 60,000 images costs more than training on 1,000."""

LARGE = 10_000
"""A data set with more training images is large."""

BATCH_SIZE = 32
MAX_SIDE = 28
"""Pixels of a side; a data set of larger images is not used."""

WIDTH = "width"
MAX_MACS, MIN_WIDTH = 2_000_000, 4
"""A network with an option for its width is halved until it has at most `MAX_MACS` or would be narrower
than `MIN_WIDTH`."""


def smoke_study(
    study: Study,
    *,
    data_dir: str | Path | None = None,
    dataset: str | None = None,
    keep: Collection[str] = (),
) -> tuple[Study, list[str]]:
    """The study made small, and the changes in words.

    Limits on MACs shrink by the ratio of the MACs of the study's own network on the smaller data set and its
    own. Of own training only the trials and the epochs are made fewer: its data and its networks are known to
    its function alone, so its limits stay.

    Args:
        data_dir: the folder in which to look for a smaller data set.
        dataset: the data set to take instead of looking.
        keep: names of values that stay as they are: ``trials``, and fields of the recipe.
    """
    if study.recipe is None:
        return _small_own(study, keep)
    full = study.recipe
    moved = full.with_changes(dataset=dataset or dataset_at_hand(full.dataset, data_dir))
    changes = _recipe_changes(study, moved, is_other=moved.dataset != full.dataset)
    recipe = moved.with_changes(**{name: value for name, value in changes.items() if name not in keep})
    small = study.with_changes(
        name=smoke_name(study.name),
        recipe=recipe,
        trials=_fewer_trials(study, keep),
        limits=_scaled(study.limits, count_cost(moved).macs / count_cost(full).macs),
    )
    misplaced = [] if dataset else list(_iter_misplaced(full.dataset, recipe.dataset, data_dir))
    return small, [*_describe(study, small), *_what_stays(study), *misplaced]


def _fewer_trials(study: Study, keep: Collection[str]) -> int:
    most = MAX_GRID_TRIALS if study.sampler is SamplerName.GRID else MAX_TRIALS
    return study.trials if "trials" in keep else min(study.trials, most)


def _small_own(study: Study, keep: Collection[str]) -> tuple[Study, list[str]]:
    """A study of own training with fewer trials and epochs."""
    epochs = study.max_epochs if "epochs" in keep else min(study.max_epochs, MAX_EPOCHS)
    small = study.with_changes(name=smoke_name(study.name), trials=_fewer_trials(study, keep), epochs=epochs)
    fewer = [
        f"{name} {after:,} (full: {before:,})"
        for name, before, after in (
            ("epochs", study.max_epochs, epochs),
            ("trials", study.trials, small.trials),
        )
        if before != after
    ]
    return small, [
        f"scale smoke, as study {small.name!r}: {', '.join(fewer) or 'it is small already'}",
        f"data and networks stay as {name_of_fit(study.training)} makes them; it reads its epochs from"
        " run.epochs",
    ]


def smoke_name(name: str) -> str:
    """The name of the small study."""
    return name if name.endswith(SUFFIX) else name + SUFFIX


def narrowed(recipe: Recipe) -> Recipe:
    """The recipe with a network of at most `MAX_MACS`, if its family has an option for the width."""
    while True:
        width = get_model(recipe.model).resolve(recipe.model_options).get(WIDTH)
        if not isinstance(width, int) or width // 2 < MIN_WIDTH or count_cost(recipe).macs <= MAX_MACS:
            return recipe
        recipe = recipe.with_changes(model_options={**recipe.model_options, WIDTH: width // 2})


def dataset_at_hand(name: str, data_dir: str | Path | None) -> str:
    """The data set itself if it is small and in the folder, else Fashion-MNIST if there, else the digits.

    A data set that the user registered stays.
    """
    if name not in SHIPPED_DATASETS:
        return name
    wanted = [name] if max(get_dataset_spec(name).input_shape[1:]) <= MAX_SIDE else []
    return next((n for n in [*wanted, "fashion_mnist"] if _is_there(n, data_dir)), "digits")


def _is_there(name: str, data_dir: str | Path | None) -> bool:
    """Whether files of its names are in the folder; reading them refuses the files of another set."""
    return not missing_files(get_dataset_spec(name).files, data_folder(data_dir))


def _iter_misplaced(name: str, taken: str, data_dir: str | Path | None) -> Iterator[str]:
    """A note for each data set that is preferred to `taken`, but lies in a neighbouring folder."""
    for wanted in dict.fromkeys((name, "fashion_mnist")):
        if wanted == taken or wanted not in SHIPPED_DATASETS or _is_there(wanted, data_dir):
            continue
        words = describe_misplaced(get_dataset_spec(wanted).files, data_folder(data_dir))
        if words is not None:
            yield f"data set {wanted!r} is not used: {words}"


def _recipe_changes(study: Study, recipe: Recipe, *, is_other: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "epochs": min(recipe.epochs, MAX_EPOCHS),
        "batch_size": min(recipe.batch_size, BATCH_SIZE),
        "precision": "fp32",  # 16 bits are slower on most CPUs
    }
    if (get_dataset_spec(recipe.dataset).num_train or 0) > LARGE:
        changes["max_train_samples"] = min(recipe.max_train_samples or MAX_TRAIN_SAMPLES, MAX_TRAIN_SAMPLES)
        changes["validation_fraction"] = min(recipe.validation_fraction, VALIDATION_FRACTION)
    if is_other:
        changes["augmentation"] = "none"  # augmentation for photographs may not suit digits
    if not {WIDTH, "model"} & set(study.space.names):
        changes["model_options"] = narrowed(recipe).model_options
    return changes


def _scaled(limits: Limits, factor: float) -> Limits:
    def scale(macs: int | None) -> int | None:
        return None if macs is None else max(1, round(macs * factor))

    return replace(limits, max_macs=scale(limits.max_macs), min_macs=scale(limits.min_macs))


def _describe(full: Study, small: Study) -> list[str]:
    """The differences, without fields of the recipe that the space sets in every trial."""
    before, after = (
        {**study.shipped_recipe.as_dict(), "trials": study.trials, **study.limits.as_json()}
        for study in (full, small)
    )
    names = [name for name in before if name not in full.space.names and before[name] != after[name]]
    changed = [f"{name} {_shown(after[name])} (full: {_shown(before[name])})" for name in names]
    return [f"scale smoke, as study {small.name!r}: {', '.join(changed) or 'it is small already'}"]


def _what_stays(study: Study) -> list[str]:
    """A note for each field that would make the study small, but that its space sets in every trial."""
    names = [name for name in ("epochs", "batch_size", "max_train_samples") if name in study.space.names]
    return [f"{name} stays as the study's space sets it" for name in names]


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
