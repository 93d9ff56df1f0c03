"""Checks of a run before Ray starts, and before the store learns of the study.

A mistake that shows only on a worker costs the start of Ray and leaves an empty study behind. This module
imports Ray only where it must: to pickle a function of the user, or to count GPUs that were asked for. Called
by `tune_jobs.on_ray.runner` and, for a dry run and a job, by `tune_jobs.cli`.
"""

from __future__ import annotations

import os
import sys

from eml_models.data.datasets import custom_datasets, require_dataset
from eml_models.networks.registry import custom_models
from eml_models.wording import count_of
from tune_jobs.errors import TuneJobsError
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.cluster.authentication import make_private_token_if_none, show_token_if_any
from tune_jobs.on_ray.cluster.reaching import check_address
from tune_jobs.on_ray.private import gpus_here
from tune_jobs.session.settings import AUTO, RunSettings
from tune_jobs.store.columns.params import param_types
from tune_jobs.study.bindings import DATASET
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName

MAX_CPUS_PER_CORE = 16
"""How many CPUs of workers a Ray of our own offers for each core of this machine. Ray starts a process for
each of them, so that a slip of the pen would take the machine down. More than 1 is of use to trials that
wait for a GPU or for another program."""


def check_before_ray(
    study: Study, settings: RunSettings, *, code: UserCode | None, dry_run: bool = False
) -> None:
    """Refuse a run that would fail for a reason that this process can see.

    Args:
        code: the user's code behind the study.
        dry_run: look only: a data set that is to be downloaded stays where it is.

    Raises:
        InvalidValueError: the training function or a registered part cannot be pickled, a parameter's type
            cannot be stored, the grid has no end, or the address is not a head's.
        TuneJobsError: a trial takes more CPUs or GPUs than this machine has, or the workers take far more
            CPUs together, and Ray is to start here.
        DatasetMissingError: a data set is not in the data folder of this machine, and Ray is to start here.
    """
    if settings.address is not None:
        check_address(settings.address)
    param_types(study.space, own=study.train is not None)
    if study.sampler is SamplerName.GRID:
        from tune_jobs.search.sampler import build_sampler  # imports Optuna

        build_sampler(study)
    if settings.address is None:
        _require_data(study, settings, dry_run=dry_run)
    if settings.address is None and (settings.inline or not _is_connected()):
        _require_cores(settings, num_cores=cores_here())
    if settings.inline:
        _require_cuda_here(settings)
        return
    if settings.address is None:
        _require_gpus(settings)
    require_picklable(study, code, address=settings.address)


def require_picklable(study: Study, code: UserCode | None, *, address: str | None) -> None:
    """Refuse a training function or a registered part of which workers cannot get a copy.

    Args:
        address: the cluster that the run joins, if any.

    Raises:
        InvalidValueError: it cannot be pickled; says which and why.
    """
    registered = code is None and (custom_models() or custom_datasets())
    if not (study.has_own_fit or registered):
        return
    _before_ray_is_imported(address)
    from tune_jobs.on_ray.worker.payload import pack_fit
    from tune_jobs.on_ray.worker.registered import pack_registered

    pack_fit(study)
    pack_registered(code)


def _require_data(study: Study, settings: RunSettings, *, dry_run: bool) -> None:
    """Refuse a shipped training without its data; another training may not use the data set at all."""
    if study.has_own_fit or (dry_run and settings.download):
        return
    for name in _datasets_of(study):
        require_dataset(name, data_dir=settings.data_dir, download=settings.download)


def _datasets_of(study: Study) -> list[str]:
    """The data sets of a study's trials: the recipe's, or those that the space searches."""
    if DATASET not in study.space.names:
        return [study.shipped_recipe.dataset]
    return [str(name) for name in study.space[DATASET].grid() or ()]


def cores_here() -> int:
    """The CPU cores of this machine."""
    return os.cpu_count() or 1


def _require_cores(settings: RunSettings, *, num_cores: int) -> None:
    """Refuse more CPUs for a trial than this machine has cores, and far more for all workers together."""
    cpus, workers = settings.cpus_per_trial, settings.workers or 1
    cores = count_of(num_cores, "core")
    if cpus > num_cores:
        raise TuneJobsError(
            f"a trial takes {cpus:,} CPUs, and this machine has {cores}; lower --cpus-per-trial to at most"
            f" {num_cores}, or name a cluster that has more with --address"
        )
    most = max(1, num_cores * MAX_CPUS_PER_CORE // cpus)
    if workers > most:
        raise TuneJobsError(
            f"{workers:,} workers of {count_of(cpus, 'CPU')} each are too many for this machine, which has"
            f" {cores}: it takes at most {MAX_CPUS_PER_CORE} CPUs of workers for each; lower --workers to at"
            f" most {most}, or name a cluster that has more with --address"
        )


def _require_gpus(settings: RunSettings) -> None:
    """Refuse more GPUs for a trial than this machine has; a Ray that runs already may have others."""
    wanted = _gpus_asked(settings)
    if not wanted or _is_connected():
        return
    _before_ray_is_imported(None)
    found = gpus_here()
    if wanted <= found:
        return
    has = f"{found} of them" if found else "none"
    lower = "lower --gpus-per-trial" if found else "leave --gpus-per-trial and --device out to train on CPUs"
    raise TuneJobsError(
        f"a trial takes {wanted:g} GPU, and this machine has {has}; {lower}, or name a cluster that has more"
        " with --address"
    )


def _require_cuda_here(settings: RunSettings) -> None:
    """Refuse CUDA for a run in this process if torch sees no GPU."""
    if settings.device != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise TuneJobsError(
            "--device cuda needs a GPU, and torch sees none in this process; leave --device out to train on"
            " the CPU"
        )


def _gpus_asked(settings: RunSettings) -> float:
    """The GPUs that a trial cannot do without."""
    if settings.device == "cpu":
        return 0.0
    if settings.gpus_per_trial is None or settings.gpus_per_trial == AUTO:
        asked = settings.gpus_per_trial == AUTO or settings.device == "cuda"
        return 1.0 if asked else 0.0
    return float(settings.gpus_per_trial)


def _is_connected() -> bool:
    """Whether this process has a Ray already."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _before_ray_is_imported(address: str | None) -> None:
    """Do what must be done before anything imports Ray (`tune_jobs.on_ray.cluster.authentication`)."""
    if address is None:
        make_private_token_if_none()
    else:
        show_token_if_any()
