"""A Ray of our own on this machine: its files lie where only this user may go, its ports on loopback.

Neither is what Ray does by itself. It writes to a folder that everybody may write, and listens on all
addresses, with metrics that need no token. Who wants it to be reached from elsewhere starts a head
(`ray start`) and names its address.

Called by `tune_jobs.on_ray.cluster.connect`, the tests and the benchmarks. Imports Ray only when it starts:
    see
`tune_jobs.on_ray.cluster.authentication`.
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
"""Ray's own folder within the private one: Ray opens it to everybody."""

LONGEST_PATH = f"/{FOLDER}/{LONGEST_SOCKET}"
"""Of a socket, from the private folder."""

SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""That the path of a socket may have."""


@contextmanager
def local_ray(*, num_cpus: int, object_store_memory: int) -> Iterator[Path]:
    """Start a Ray, and stop it at the end. Yields the folder that Ray writes to.

    The folder goes with it. After an exception it is kept, and named in a warning, for the logs in it.

    Raises:
        TuneJobsError: it did not start, or there is no place for its folder.
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
    except Exception:  # whatever it was, Ray's logs may say why
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
    from ray.exceptions import RayError

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
    except (ConnectionError, ValueError, RuntimeError, RayError) as error:
        raise TuneJobsError(f"Ray on this machine did not start: {str(error).strip()}") from error
