"""What a driver sends to each of its workers once: everything needed to train any trial of a study.

`tune_jobs.on_ray.tuning` builds it, the trainable carries it to the workers and reads it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray import cloudpickle

from eml_models.training.kernels import Kernels
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.worker.gpu_limit import CONTEXT_BYTES
from tune_jobs.on_ray.worker.registered import pack_registered
from tune_jobs.on_ray.worker.shared_data import SharedData
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.study.definition import Study
from tune_jobs.study.method import LatencyMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Everything a worker needs to train any trial of a study; sent once a process.

    Attributes:
        fit: the study's training function, pickled (by value if it lives in ``__main__``).
        registered: model families and data sets that the driver's program registered, pickled.
        threads: CPU threads a trial may use.
        device: ``cpu`` or ``cuda``.
        is_shipped: whether the training function is one of our own, which takes ``download`` and ``kernels``.
        kernels: how it comes to its kernels on CUDA.
        beside_bytes: what this process takes of a GPU's memory beside torch's allocator.
        download: whether to fetch the data set where it is missing.
        shared: the data set, read once for all workers; None if each reads for itself.
        checkpoint_period_s: training time after which a trial is saved again.
        probe: by which a worker knows the driver's store.
        latency: how each trial's network is measured before it is trained; None for not.
        trial_timeout_s: time without a report after which the worker ends itself; None for ever.
    """

    code: UserCode | None
    fit: bytes
    registered: bytes
    threads: int
    device: str
    data_dir: str | None
    download: bool
    checkpoints: Checkpoints
    checkpoint_period_s: float
    probe: StoreProbe
    is_shipped: bool = False
    kernels: str = Kernels.DEFAULT
    beside_bytes: int = CONTEXT_BYTES
    trial_timeout_s: float | None = None
    latency: LatencyMode | None = None
    shared: SharedData | None = None


def build_payload(study: Study, code: UserCode | None, **settings: Any) -> Payload:
    """The payload of a study; `settings` are the fields that the run decides."""
    return Payload(code=code, fit=cloudpickle.dumps(study.fit), registered=pack_registered(code), **settings)
