"""Starts a Ray of our own or joins a cluster, and explains a failure in plain words.

`tune_jobs.on_ray.runner` (after it has set Tune's environment) and `tune_jobs.on_ray.latency` call this.
Neither imports Ray before: see `tune_jobs.on_ray.cluster.authentication`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.cluster.authentication import HINT, show_token_if_any
from tune_jobs.on_ray.cluster.local_ray import local_ray
from tune_jobs.on_ray.cluster.presence import JoinedRay, OwnRay
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
"""Size of Ray's object store in a local run: trials report small dictionaries and no objects."""

MAX_OBJECT_BYTES = 2 << 30
"""Most bytes that a data set adds to a local run's object store. Memory is used only as objects are put
there; objects that do not fit lie on disk."""


@contextmanager
def connected(settings: RunSettings, *, object_bytes: int = 0) -> Iterator[OwnRay | JoinedRay]:
    """Connect this process: to the cluster at the address, else to a Ray of our own on this machine.

    A process that is connected already keeps its connection, also at the end.

    Args:
        object_bytes: bytes of objects that a Ray of our own has to hold.

    Raises:
        TuneJobsError: Ray did not start, nothing answers at the address, the cluster refuses us, or it runs
            another version of Ray or Python.
    """
    if settings.address is not None:
        require_listener(settings.address)
        show_token_if_any()
    import ray

    if ray.is_initialized():
        yield JoinedRay(ray.get_runtime_context().gcs_address)
        return
    made = _joined(settings.address) if settings.address else _started(settings, object_bytes)
    with made as connection:
        yield connection


@contextmanager
def _joined(address: str) -> Iterator[JoinedRay]:
    import ray

    if address == "auto":
        _require_one()
    try:
        context = ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:  # Ray raises a bare Exception where a part of it is not up in time
        raise TuneJobsError(_describe(address, error)) from error
    joined = JoinedRay(ray.get_runtime_context().gcs_address, dashboard=context.dashboard_url)
    try:
        yield joined
    finally:
        if not joined.abandoned:
            ray.shutdown()


def _require_one() -> None:
    """Refuse ``auto`` where several Rays run here: Ray would take any of them, a local run's too.

    Raises:
        TuneJobsError: there are several, and Ray has noted no address of the last ``ray start``.
    """
    found = rays_here()
    if len(found) > 1 and not os.environ.get("RAY_ADDRESS") and noted_ray_here() is None:
        raise TuneJobsError(
            f"several Ray clusters run on this machine, at {' and '.join(sorted(found))}: choose one with"
            " --address"
        )


def _started(settings: RunSettings, object_bytes: int) -> AbstractContextManager[OwnRay | JoinedRay]:
    workers = settings.workers or max(1, (os.cpu_count() or 1) // settings.cpus_per_trial)
    return local_ray(
        num_cpus=workers * settings.cpus_per_trial,
        object_store_memory=OBJECT_STORE_BYTES + min(object_bytes, MAX_OBJECT_BYTES),
    )


def _describe(address: str, error: Exception) -> str:
    text = str(error).strip()
    if VERSIONS_DIFFER in text:
        return (
            f"the cluster at {address} runs another version of Ray or Python than this process: {text}. Use"
            " the image of docker/ on every node, or submit the study as a job, which runs with the cluster's"
            " own Python"
        )
    if address in FOUND_BY_RAY and NO_RAY_HERE in text:
        return "no Ray runs on this machine: leave --address out to start Ray, or give a cluster's HOST:6379"
    if type(error).__name__ == "AuthenticationError" or isinstance(error, ConnectionError):
        first = text.split(TOKEN_ADVICE)[0]
        return (
            f"the cluster at {address} refused the connection: {first}. A program listens there, so most"
            f" likely the token is missing or wrong. {HINT}"
        )
    return f"Ray at {address} did not answer: {text}"
