"""``--gpus-per-trial auto``: one measured candidate says how many trials share a GPU.

The measurement runs on a worker that has a whole GPU, as a trial would: with the study's code and its data.
"""

from __future__ import annotations

import logging
from typing import Any

import ray
from ray.exceptions import RayError

from eml_models.errors import InvalidValueError
from eml_models.recipe import Recipe
from tune_jobs.errors import TuneJobsError
from tune_jobs.largest import largest_candidate
from tune_jobs.on_ray.gpu_share import choose_share
from tune_jobs.on_ray.registered import load_parts, pack_registered
from tune_jobs.on_ray.settings import RunSettings
from tune_jobs.study import Study
from tune_jobs.user_code import UserCode

LOG = logging.getLogger("tune_jobs.gpus")


def measure_share(
    study: Study, code: UserCode | None, settings: RunSettings, *, device: str = "cuda"
) -> float:
    """The share of a GPU that a trial of the study gets, from the memory of its largest candidate.

    Raises:
        InvalidValueError: the study trains by a function of its own, which cannot be stopped after a step.
        TuneJobsError: the candidate could not be trained; says why.
    """
    if study.has_own_fit:
        raise InvalidValueError(
            "--gpus-per-trial auto measures eml_models' training, and this study trains by a function of its"
            " own; give a number"
        )
    recipe = largest_candidate(study)
    options: dict[str, Any] = {"num_cpus": settings.cpus_per_trial, "num_gpus": int(device == "cuda")}
    measure = ray.remote(max_retries=0, **options)(_measure)
    try:
        peak_bytes, total_bytes = ray.get(
            measure.remote(
                recipe.to_json(),
                code,
                pack_registered(code),
                (device, settings.data_dir, settings.download),
            )
        )
    except RayError as error:
        raise TuneJobsError(f"the largest candidate could not be measured: {error}") from error
    share = choose_share(peak_bytes, total_bytes)
    LOG.warning(
        "the largest candidate takes %.2f of %.1f GB for a step: %d trials share a GPU",
        peak_bytes / 1e9,
        total_bytes / 1e9,
        round(1 / share),
    )
    return share


def _measure(
    recipe: str, code: UserCode | None, registered: bytes, where: tuple[str, str | None, bool]
) -> tuple[int, int]:
    """On a worker: the peak of a step and what the device has, in bytes."""
    from eml_models.step_memory import measure_step_memory

    load_parts(code, registered)
    device, data_dir, download = where
    found = measure_step_memory(Recipe.from_json(recipe), device=device, data_dir=data_dir, download=download)
    return found.peak_bytes, found.total_bytes
