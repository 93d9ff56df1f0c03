"""Decides the kind of a training's error: a failure of its attempt, an unusable worker, or a broken GPU.

`tune_jobs.on_ray.worker.trainable` gets the last message of an attempt that raised from here.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from eml_models.errors import (
    BatchTooLargeError,
    DatasetMissingError,
    DivergedError,
    NotCompiledError,
    UnsupportedModeError,
)
from eml_models.wording import first_line
from tune_jobs.errors import BrokenDeviceError, TuneJobsError
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import AttemptFailed, WorkerUnusable
from tune_jobs.study.rows import Failure
from tune_jobs.worker.describing_card import uses_mps
from tune_jobs.worker.user_frames import has_user_frame

TRACEBACK_LINES = 12
USER_FRAMES = 3
"""How many frames of the user's code stay before the last lines; these may lie deep in a package."""

PACKAGE = Path(__file__).parents[1]
"""The folder of `tune_jobs`."""


class OwnTrainingError(Exception):
    """Carries an error out of a training function of the user's, which is its cause.

    The function may raise errors of tune_jobs and eml_models too, by the calls that it makes or by choice.
    From there they say nothing of the worker, and cost their trial alone.
    """


def require_working_device(device: str, error: Exception) -> None:
    """Refuse to continue in this process if it can use its GPU no longer.

    Raises:
        BrokenDeviceError: every later CUDA call would fail, so the process must end.
    """
    if device == "cpu" or "torch" not in sys.modules:
        return
    error = _raised_by(error)
    import torch

    from eml_models.training.device_errors import is_broken

    # a card that is lost before the first use of CUDA fails that use, and all later ones
    of_cuda = torch.cuda.is_initialized() or "cuda" in _words_of(error).lower()
    if of_cuda and is_broken(torch.device(device)):
        shared = BrokenDeviceError.SHARED if uses_mps() else ""
        raise BrokenDeviceError(  # in one line, because the last line of a traceback becomes the reason
            f"every later CUDA call of this process would fail, so it ends{shared}:"
            f" {type(error).__name__}: {first_line(_words_of(error))}"
        ) from error


def describe_failure(error: Exception, *, gpus: float, worker: WorkerInfo) -> AttemptFailed | WorkerUnusable:
    """The message about an error.

    Args:
        gpus: GPUs of the attempt; below 1, a lack of GPU memory counts as the share's.
    """
    of_this_machine = isinstance(error, DatasetMissingError | UnsupportedModeError | TuneJobsError)
    if of_this_machine and not isinstance(error, NotCompiledError):
        return WorkerUnusable(error=str(error), worker=worker)
    error = _raised_by(error)
    lines = _traceback_of(error).strip().splitlines()
    text = "\n".join([f"{type(error).__name__}: {_words_of(error)}", *_shortened(lines)])
    return AttemptFailed(failure=_failure_of(error, gpus), error=text, worker=worker)


def _shortened(lines: Sequence[str]) -> list[str]:
    """The last lines of a traceback, behind the last frames of the user's code that lie before them."""
    before, last = lines[:-TRACEBACK_LINES], lines[-TRACEBACK_LINES:]
    places = [line for line in before if has_user_frame(line)][-USER_FRAMES:]
    return [*places, *(["  ..."] if places else []), *last]


def _raised_by(error: Exception) -> Exception:
    """The error itself, or the error of the user's training function that it carries."""
    cause = error.__cause__
    return cause if isinstance(error, OwnTrainingError) and isinstance(cause, Exception) else error


def _traceback_of(error: Exception) -> str:
    """The traceback from the first frame of the user's code on; all of it if `tune_jobs` has every frame."""
    frames = error.__traceback__
    while frames is not None and Path(frames.tb_frame.f_code.co_filename).is_relative_to(PACKAGE):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames or error.__traceback__))


def _words_of(error: Exception) -> str:
    """The message of an error; an error of the user's may have none that can be shown."""
    try:
        return str(error)
    except Exception as second:  # of any type
        return f"(its message cannot be shown: {type(second).__name__})"


def _failure_of(error: Exception, gpus: float) -> Failure:
    if isinstance(error, DivergedError):
        return Failure.DIVERGED
    if isinstance(error, BatchTooLargeError) or _ran_out_on_device(error):
        return Failure.OUT_OF_SHARE if 0 < gpus < 1 else Failure.OUT_OF_MEMORY
    return Failure.OUT_OF_MEMORY if _ran_out(error) else Failure.RAISED


def _ran_out_on_device(error: Exception) -> bool:
    if "torch" not in sys.modules:
        return False
    from eml_models.training.device_errors import is_out_of_device_memory

    return is_out_of_device_memory(error)


def _ran_out(error: Exception) -> bool:
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from eml_models.training.device_errors import is_out_of_memory

    return is_out_of_memory(error)
