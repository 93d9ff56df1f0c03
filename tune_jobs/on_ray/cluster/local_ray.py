"""A Ray of our own on this machine, with files in a folder of this user alone and ports on loopback alone.

By itself, Ray writes to a folder in which every user may write, and listens on all addresses, with metrics
that need no token. For a Ray that other machines reach, start a head (`ray start`) and give its address.

`tune_jobs.on_ray.cluster.connect`, the tests and the benchmarks call this. It imports Ray only when it
starts Ray: see `tune_jobs.on_ray.cluster.authentication`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.cluster.authentication import make_private_token_if_none
from tune_jobs.on_ray.cluster.private_folder import keep, make_private_folder, remove
from tune_jobs.on_ray.private import LONGEST_SOCKET, SESSION_LOGS, on_loopback, writing_to

LOG = logging.getLogger("tune_jobs.ray")

FOLDER = "r"
"""Ray's own folder within the private folder: Ray makes it writable for every user."""

LONGEST_PATH = f"/{FOLDER}/{LONGEST_SOCKET}"
"""The longest path of a socket, from the private folder on."""

SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""Bytes that the path of a socket may have."""


@contextmanager
def local_ray(*, num_cpus: int, object_store_memory: int) -> Iterator[Path]:
    """Start a Ray, and stop it at the end. Yields the folder that Ray writes to.

    The folder is removed at the end. After an exception it is kept for its logs, and a warning names it.

    Raises:
        TuneJobsError: Ray did not start, or there is no place for its folder.
    """
    make_private_token_if_none()
    private = make_private_folder(below=len(LONGEST_PATH), longest=SOCKET_BYTES)
    failed = False
    try:
        _start(private / FOLDER, num_cpus=num_cpus, object_store_memory=object_store_memory)
        import ray

        try:
            yield private / FOLDER
        finally:
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


def _start(folder: Path, **options: Any) -> None:
    import ray

    try:
        with on_loopback():
            ray.init(
                address="local",
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **writing_to(folder),
                **options,
            )
    except Exception as error:  # Ray raises a bare Exception where a part of it is not up in time
        raise TuneJobsError(
            f"Ray on this machine did not start: {str(error).strip()}. Run the same command again, when the"
            " machine is less busy or with fewer --workers; Ray's own logs say more"
        ) from error
