"""Starts a Ray of our own or joins a cluster, and says plainly why that failed.

Called by `tune_jobs.on_ray.runner`, which sets Tune's environment first, and by `tune_jobs.on_ray.latency`.
Neither imports Ray before that: see `tune_jobs.on_ray.cluster.authentication`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.cluster.authentication import HINT, show_token_if_any
from tune_jobs.on_ray.cluster.local_ray import local_ray
from tune_jobs.on_ray.cluster.reaching import FOUND_BY_RAY, require_listener
from tune_jobs.on_ray.private import (
    NO_RAY_HERE,
    TOKEN_ADVICE,
    VERSIONS_DIFFER,
    noted_ray_here,
    rays_here,
)
from tune_jobs.session.settings import RunSettings

OBJECT_STORE_BYTES = 128 << 20
"""Ray's object store of a local run: trials report small dictionaries and no objects."""

MAX_OBJECT_BYTES = 2 << 30
"""What a local run's store is enlarged by at most; it is memory that only what is put there takes. What does
not fit lies on disk."""


@contextmanager
def connected(settings: RunSettings, *, object_bytes: int = 0) -> Iterator[None]:
    """A Ray of our own on this machine, or the cluster at the address; one that already runs here is used.

    Args:
        object_bytes: what a Ray of our own has to hold of objects.

    Raises:
        TuneJobsError: it did not start, or nothing answers at the address, or it does not let us in, or it is
            of another Ray or Python.
    """
    if settings.address is not None:
        require_listener(settings.address)
        show_token_if_any()
    import ray

    if ray.is_initialized():
        yield
        return
    with _joined(settings.address) if settings.address else _started(settings, object_bytes):
        yield


@contextmanager
def _joined(address: str) -> Iterator[None]:
    import ray
    from ray.exceptions import RayError

    if address == "auto":
        _require_one()
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError, RayError) as error:
        raise TuneJobsError(_describe(address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _require_one() -> None:
    """Refuse ``auto`` where several Rays run here: Ray would take any of them, a local run's too.

    Raises:
        TuneJobsError: there are several, and none is where Ray notes the one that was started last.
    """
    found = rays_here()
    if len(found) > 1 and not os.environ.get("RAY_ADDRESS") and noted_ray_here() is None:
        raise TuneJobsError(
            f"several Rays run on this machine, at {' and '.join(sorted(found))}: name one in --address"
        )


def _started(settings: RunSettings, object_bytes: int) -> AbstractContextManager[Path]:
    workers = settings.workers or max(1, (os.cpu_count() or 1) // settings.cpus_per_trial)
    return local_ray(
        num_cpus=workers * settings.cpus_per_trial,
        object_store_memory=OBJECT_STORE_BYTES + min(object_bytes, MAX_OBJECT_BYTES),
    )


def _describe(address: str, error: Exception) -> str:
    text = str(error).strip()
    if VERSIONS_DIFFER in text:
        return (
            f"the cluster at {address} is of another Ray or Python than this process: {text}. Use the image"
            " of docker/ on every node, or submit the study as a job, which runs with the cluster's own"
            " Python"
        )
    if address in FOUND_BY_RAY and NO_RAY_HERE in text:
        return "no Ray runs on this machine: leave --address out to start one, or name a cluster's HOST:6379"
    if type(error).__name__ == "AuthenticationError" or isinstance(error, ConnectionError):
        first = text.split(TOKEN_ADVICE)[0]
        return (
            f"the cluster at {address} did not let us in: {first}. Something listens there, so most likely"
            f" the token is missing or wrong. {HINT}"
        )
    return f"Ray at {address} did not answer: {text}"
