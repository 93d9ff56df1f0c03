"""``--gpus-per-trial auto``: one measured candidate says how many trials share a GPU.

The measurement runs on a worker that has a whole GPU, as a trial would: with the study's code and its data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

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
POLL_S = 0.5


def measure_share(
    study: Study, code: UserCode | None, settings: RunSettings, *, ended: Callable[[], bool]
) -> float | None:
    """The share of a GPU that a trial of the study gets, from the memory of its largest candidate.

    Waits for a whole GPU. None if `ended` became true before one was measured.

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
    measure = ray.remote(max_retries=0, num_cpus=settings.cpus_per_trial, num_gpus=1)(_measure)
    LOG.warning("measuring a step of the largest candidate, which takes a whole GPU for that time")
    task = measure.remote(recipe.to_json(), code, pack_registered(code), settings.data_dir, settings.download)
    while not ray.wait([task], timeout=POLL_S)[0]:
        if ended():
            ray.cancel(task, force=True)
            return None
    peak_bytes, total_bytes = _result(task)
    share = choose_share(peak_bytes, total_bytes)
    LOG.warning(
        "it takes %.2f of %.1f GB: %d trials share a GPU",
        peak_bytes / 1e9,
        total_bytes / 1e9,
        round(1 / share),
    )
    return share


def _measure(
    recipe: str, code: UserCode | None, registered: bytes, data_dir: str | None, download: bool
) -> tuple[int, int]:
    """On a worker: the peak of a step and what its GPU has, in bytes."""
    from eml_models.step_memory import measure_step_memory

    load_parts(code, registered)
    found = measure_step_memory(Recipe.from_json(recipe), device="cuda", data_dir=data_dir, download=download)
    return found.peak_bytes, found.total_bytes


def _result(task: Any) -> tuple[int, int]:
    try:
        found: tuple[int, int] = ray.get(task)
    except RayTaskError as error:
        raise TuneJobsError(f"the largest candidate could not be measured: {error.cause}") from error
    except RayError as error:
        raise TuneJobsError(f"the largest candidate could not be measured: {error}") from error
    return found
