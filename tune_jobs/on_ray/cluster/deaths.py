"""Every death of a worker, told to Ray Tune as one.

Of what a call of a worker comes back with, Tune 2.60 knows the call's own error and `RayActorError`; at
anything else it raises, which ends the run with all of its trials. A worker that Ray ends because its node
runs low on memory comes back with `OutOfMemoryError`, which is neither. So Tune is given a manager of workers
that tells it of every such error as of a death.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError

from tune_jobs.errors import BrokenDeviceError
from tune_jobs.on_ray.private import CALL, error_of_trial, worker_errors_as

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def deaths_told() -> AbstractContextManager[None]:
    """Runs of Tune that begin inside hear of every death."""
    return worker_errors_as(death_if_not_own)


def death_if_not_own(error: Exception) -> Exception:
    """The error of a call as Tune knows it: what is not the call's own is its worker's death."""
    if isinstance(error, RayError) and not isinstance(error, RayActorError | RayTaskError):
        return RayActorError(error_msg=str(error))
    return error


def describe_death(trial: Any) -> str:
    """Why a trial of Tune failed, the error itself in the first line."""
    return error_first(error_of_trial(trial))


def error_first(text: str) -> str:
    """What Ray tells of a death, without colours; of a traceback the last line comes first: the error."""
    plain = COLOURS.sub("", text).strip()
    lines = plain.splitlines()
    if not lines:
        return "the worker died"
    if not lines[0].startswith(CALL):
        return plain
    return "\n".join([lines[-1].strip().removeprefix(f"{BrokenDeviceError.__module__}."), *lines])
