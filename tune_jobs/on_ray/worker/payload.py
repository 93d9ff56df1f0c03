"""The payload that a driver sends to each of its workers once: all that training any trial of a study needs.

`tune_jobs.on_ray.tuning` builds it. `tune_jobs.on_ray.worker.trainable` carries it to the workers and reads
it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray import cloudpickle

from eml_models.errors import InvalidValueError
from eml_models.wording import first_line
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.worker.gpu_limit import CONTEXT_BYTES
from tune_jobs.on_ray.worker.registered import pack_registered
from tune_jobs.on_ray.worker.shared_data import SharedData
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.study.definition import Study
from tune_jobs.study.fits import name_of_fit
from tune_jobs.worker.training import TrainingSetup


@dataclass(frozen=True, kw_only=True)
class Payload(TrainingSetup):
    """All that a worker needs to train any trial of a study; sent once for each process.

    Attributes:
        fit: the study's training function, pickled (by value if it lives in ``__main__``).
        registered: model families and data sets that the driver's program registered, pickled.
        beside_bytes: bytes of a GPU's memory that the process takes beside torch's allocator.
        shared: the data set, read once for all workers; None if each worker reads it.
        probe: recognises the driver's store on a worker.
        trial_timeout_s: seconds without a report after which the worker ends itself; None for no limit.
    """

    code: UserCode | None
    fit: bytes
    registered: bytes
    probe: StoreProbe
    beside_bytes: int = CONTEXT_BYTES
    trial_timeout_s: float | None = None
    shared: SharedData | None = None


def build_payload(study: Study, code: UserCode | None, **settings: Any) -> Payload:
    """The payload of a study; `settings` are the fields that the run decides."""
    return Payload(
        code=code,
        fit=pack_fit(study),
        is_own=study.train is not None,
        registered=pack_registered(code),
        rungs=tuple(study.rungs),
        **settings,
    )


def pack_fit(study: Study) -> bytes:
    """The study's training function, pickled.

    Raises:
        InvalidValueError: it cannot be pickled; says why.
    """
    try:
        return bytes(cloudpickle.dumps(study.training))
    except Exception as error:  # what a function refers to may raise anything while it is pickled
        raise InvalidValueError(
            f"study {study.name!r}: its training function {name_of_fit(study.training)} must be picklable,"
            f" because workers get a copy of it, got {type(error).__name__}: {first_line(error)}; make what"
            " it needs (locks, files, connections) inside the function"
        ) from error
