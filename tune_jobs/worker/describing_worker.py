"""Facts about a worker: its node, its device, its versions and its data.

Each function takes the facts so far and returns them with more. Nothing here imports torch for a training
function that works without it. `tune_jobs.on_ray.worker.trainable` calls this.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import replace

from eml_models.data.datasets import data_fingerprint
from eml_models.training.recipe import Recipe
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.worker.describing_card import driver_version, uses_mps


def with_device(worker: WorkerInfo, device: str, *, kernels: str | None, is_alone: bool = True) -> WorkerInfo:
    """Adds the device and what is known of a card; for the shipped training on CUDA its kernels and cuDNN.

    Args:
        device: ``cpu`` or ``cuda``.
        kernels: the choice of kernels of the shipped training; None for any other training.
        is_alone: whether no other trial is to use the GPU; memory that is in use there is then a stranger's.
    """
    if device == "cpu":
        return replace(worker, device=f"cpu: {platform.machine()}")
    import torch

    from eml_models.training.device_state import bytes_of_others

    worker = replace(
        worker,
        device=f"cuda: {torch.cuda.get_device_name()}",
        driver_version=driver_version(),
        mps=uses_mps(),
        others_bytes=bytes_of_others(torch.device(device)) if is_alone else None,
    )
    if kernels is None:
        return worker
    return replace(worker, kernels=kernels, cudnn_version=torch.backends.cudnn.version())


def with_training(worker: WorkerInfo, recipe: Recipe, *, data_dir: str | None) -> WorkerInfo:
    """Adds the data's fingerprint and torch's version (with its build, ``+cu130``), as far as they are known.

    The fingerprint is known once the training function has read the data set, torch's version once it has
    imported torch. A generator function does both only for its first epoch.
    """
    found = data_fingerprint(recipe.dataset, data_dir=data_dir, only_if_loaded=True)
    return with_torch(replace(worker, data_fingerprint=found))


def with_torch(worker: WorkerInfo) -> WorkerInfo:
    """Adds torch's version, if something has imported torch."""
    torch = sys.modules.get("torch")
    return worker if torch is None else replace(worker, torch_version=str(torch.__version__))


def with_peak_memory(worker: WorkerInfo, device: str) -> WorkerInfo:
    """Adds the most memory that a failed attempt took, if torch was imported."""
    if "torch" not in sys.modules:
        return worker
    import torch

    from eml_models.training.device_state import peak_memory_bytes

    if device != "cpu" and not torch.cuda.is_available():
        return worker
    return replace(worker, peak_memory_bytes=peak_memory_bytes(torch.device(device)))
