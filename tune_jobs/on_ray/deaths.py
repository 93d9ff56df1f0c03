"""Every death of a worker, told to Ray Tune as one.

Of what a call of a worker comes back with, Tune 2.60 knows the call's own error and `RayActorError`; at
anything else it raises, which ends the run with all of its trials. A worker that Ray ends because its node
runs low on memory comes back with `OutOfMemoryError`, which is neither. So Tune is given a manager of workers
that tells it of every such error as of a death.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution import tune_controller

from tune_jobs.errors import BrokenDeviceError

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CALL = "ray::"
"""How the traceback of a worker's call begins."""


class DeathsTold(RayActorManager):
    """Tune's manager of workers, for which what is not a call's own error is its worker's death."""

    def _actor_task_failed(self, tracked_actor_task: TrackedActorTask, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


@contextmanager
def deaths_told() -> Iterator[None]:
    """Runs of Tune that begin inside hear of every death."""
    module: Any = tune_controller
    before, module.RayActorManager = module.RayActorManager, DeathsTold
    try:
        yield
    finally:
        module.RayActorManager = before


def describe_death(trial: Any) -> str:
    """Why a trial of Tune failed, the error itself in the first line.

    Tune's `Trial.get_error` looks where the text will be once it is copied, so it finds none yet.
    """
    file = trial.error_file
    text = Path(file).read_text() if file and Path(file).exists() else ""
    return error_first(text.partition("\n")[2])  # Tune's own first line counts failures


def error_first(text: str) -> str:
    """What Ray tells of a death, without colours; of a traceback the last line comes first: the error."""
    plain = COLOURS.sub("", text).strip()
    lines = plain.splitlines()
    if not lines:
        return "the worker died"
    if not lines[0].startswith(CALL):
        return plain
    return "\n".join([lines[-1].strip().removeprefix(f"{BrokenDeviceError.__module__}."), *lines])
