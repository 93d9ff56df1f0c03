"""What a worker says of itself: where it runs, on which device, with which versions and which data.

Each function takes what is known so far and returns it with more. Nothing here imports torch for a training
function that does without it.
"""

from __future__ import annotations

import platform
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import ray

from eml_models.data.datasets import data_fingerprint
from eml_models.training.recipe import Recipe
from tune_jobs.on_ray.worker.payload import Payload
from tune_jobs.session.attempt import WorkerInfo


def with_place(worker: WorkerInfo) -> WorkerInfo:
    """The node and the host."""
    return replace(worker, **_place())


@cache
def _place() -> Mapping[str, Any]:
    """Where this process runs; asked for once."""
    return {"node": ray.util.get_node_ip_address(), "hostname": socket.gethostname()}


def with_device(worker: WorkerInfo, payload: Payload) -> WorkerInfo:
    """The device, and for the shipped training on CUDA its kernels and cuDNN's version."""
    if payload.device == "cpu":
        return replace(worker, device=f"cpu: {platform.machine()}")
    import torch

    worker = replace(worker, device=f"cuda: {torch.cuda.get_device_name()}")
    if not payload.is_shipped:
        return worker
    return replace(worker, kernels=str(payload.kernels), cudnn_version=torch.backends.cudnn.version())


def with_training(worker: WorkerInfo, recipe: Recipe, payload: Payload) -> WorkerInfo:
    """What is known once the data is there; a function that yields its epochs reads it for the first.

    The data's fingerprint is there if the training function used the data set at all, torch's version (with
    its build, ``+cu130``) if it imported torch.
    """
    return replace(
        worker,
        data_fingerprint=data_fingerprint(recipe.dataset, data_dir=payload.data_dir, only_if_loaded=True),
        torch_version=str(sys.modules["torch"].__version__) if "torch" in sys.modules else None,
    )


def with_peak_memory(worker: WorkerInfo, device: str) -> WorkerInfo:
    """The most memory that a failed attempt took, if torch is there to say."""
    if "torch" not in sys.modules:
        return worker
    import torch

    from eml_models.training.device_state import peak_memory_bytes

    if device != "cpu" and not torch.cuda.is_available():
        return worker
    return replace(worker, peak_memory_bytes=peak_memory_bytes(torch.device(device)))
