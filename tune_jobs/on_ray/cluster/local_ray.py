"""A Ray of our own on this machine, with files in a folder of this user alone and ports on loopback alone.

By itself, Ray writes to a folder in which every user may write, and listens on all addresses, with metrics
that need no token. For a Ray that other machines reach, start a head (`ray start`) and give its address.

`tune_jobs.on_ray.cluster.connect`, the tests and the benchmarks call this. It imports Ray only when it
starts Ray: see `tune_jobs.on_ray.cluster.authentication`.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eml_models.wording import first_line
from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.cluster.authentication import make_private_token_if_none
from tune_jobs.on_ray.cluster.presence import OwnRay
from tune_jobs.on_ray.cluster.private_folder import keep, make_private_folder, remove
from tune_jobs.on_ray.cluster.watcher import LINUX, Watcher
from tune_jobs.on_ray.private import (
    LONGEST_SOCKET,
    SESSION_LOGS,
    on_loopback,
    rays_processes_as,
    writing_to,
)

LOG = logging.getLogger("tune_jobs.ray")

FOLDER = "r"
"""Ray's own folder within the private folder: Ray makes it writable for every user."""

LONGEST_PATH = f"/{FOLDER}/{LONGEST_SOCKET}"
"""The longest path of a socket, from the private folder on."""

SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""Bytes that the path of a socket may have."""


@contextmanager
def local_ray(*, num_cpus: int, object_store_memory: int) -> Iterator[OwnRay]:
    """Start a Ray, and stop it at the end.

    Its folder is removed at the end. After an exception it is kept for its logs, and a warning names it. On
    Linux, signals to this process's group do not reach Ray, and Ray ends within a second of this process.

    Raises:
        TuneJobsError: Ray did not start, or there is no place for its folder.
    """
    make_private_token_if_none()
    private = make_private_folder(below=len(LONGEST_PATH), longest=SOCKET_BYTES)
    own = OwnRay(private / FOLDER)
    failed = False
    try:
        with _watched() as watcher:
            _start(own, watcher, num_cpus=num_cpus, object_store_memory=object_store_memory)
            import ray

            try:
                yield own
            finally:
                if not own.abandoned:
                    ray.shutdown()
    except Exception:  # of any type: Ray's logs may explain it
        failed = True
        raise
    finally:
        if failed:
            keep(private)
            logs = private / FOLDER / SESSION_LOGS
            LOG.warning("Ray's own logs of this run are kept for a week: %s", logs)
        else:
            remove(private)


@contextmanager
def _watched() -> Iterator[Watcher | None]:
    """A watcher for the block, at whose end it kills what is left of Ray; None where there is none."""
    watcher = Watcher() if LINUX else None
    try:
        yield watcher
    finally:
        if watcher:
            watcher.end()


def _start(own: OwnRay, watcher: Watcher | None, **options: Any) -> None:
    import ray

    def start(*words: Any, **how: Any) -> subprocess.Popen[Any]:
        process = subprocess.Popen(*words, **how, start_new_session=watcher is not None)
        own.add(process)
        if watcher:
            watcher.watch(process.pid)
        return process

    try:
        with on_loopback(), rays_processes_as(start):
            ray.init(
                address="local",
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **writing_to(own.folder),
                **options,
            )
        own.is_up(ray.get_runtime_context().gcs_address)
    except Exception as error:  # Ray raises a bare Exception where a part of it is not up in time
        raise TuneJobsError(
            f"Ray on this machine did not start: {first_line(error).rstrip('.')}. Run the same command again,"
            " when the machine is less busy or with fewer --workers; Ray's own logs say more"
        ) from error
