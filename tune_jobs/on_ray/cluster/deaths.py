"""Makes Ray Tune treat every death of a worker as a death, and says why a worker died.

Tune 2.60 knows two errors of a call to a worker: the call's own error, and `RayActorError` for a death. Any
other error ends the run with all of its trials. Ray ends a worker whose node runs low on memory with
`OutOfMemoryError`, which is neither. So here every such error becomes a `RayActorError` before Tune sees it.
`tune_jobs.on_ray.tuning` and `tune_jobs.on_ray.bridge` call this.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError

from tune_jobs.errors import BrokenDeviceError
from tune_jobs.on_ray.private import CALL, NODE, error_of_trial, worker_errors_as

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def deaths_recognised() -> AbstractContextManager[None]:
    """A context in which each new run of Tune recognises every death of a worker."""
    return worker_errors_as(death_if_not_own)


def death_if_not_own(error: Exception) -> Exception:
    """The error as Tune knows it: any error that is not the call's own is its worker's death."""
    if isinstance(error, RayError) and not isinstance(error, RayActorError | RayTaskError):
        return RayActorError(error_msg=str(error))
    return error


def describe_death(trial: Any) -> str:
    """The reason why a trial of Tune failed, with the error itself in the first line."""
    return error_first(error_of_trial(trial))


def is_shared_fault(error: str) -> bool:
    """Whether the reason of a death (`describe_death`) is a GPU that an MPS server has closed for several."""
    first = error.partition("\n")[0]
    return first.startswith(BrokenDeviceError.__name__) and BrokenDeviceError.SHARED in first


def error_first(text: str) -> str:
    """Ray's text about a death, without colours; the last line of a traceback, the error, comes first.

    A worker that did not come about has no call; then the node comes first, as Ray names it, with the error.
    """
    plain = COLOURS.sub("", text).strip()
    lines = plain.splitlines()
    if not lines:
        return "the worker died"
    if (node := re.search(NODE, plain, re.MULTILINE)) and not lines[0].startswith(CALL):
        return "\n".join([f"no worker could be made on node {node[1]}: {lines[-1].strip()}", *lines])
    if not lines[0].startswith(CALL):
        return plain
    return "\n".join([lines[-1].strip().removeprefix(f"{BrokenDeviceError.__module__}."), *lines])
