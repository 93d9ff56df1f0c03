"""The kind of failure of an error: of the attempt, of its share, or of the worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import tune_jobs
from eml_models.errors import (
    BatchTooLargeError,
    DatasetMissingError,
    DivergedError,
    EmlError,
    InvalidValueError,
    NotCompiledError,
    UnsupportedModeError,
)
from tune_jobs.errors import BrokenDeviceError, RunFailedError, StoreError, TuneJobsError
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import AttemptFailed, WorkerUnusable
from tune_jobs.study.rows import Failure
from tune_jobs.worker.describing_failure import OwnTrainingError, describe_failure, require_working_device
from tune_jobs.worker.user_frames import user_frames

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(("gpus", "kind"), [(0.5, Failure.OUT_OF_SHARE), (1.0, Failure.OUT_OF_MEMORY)])
def test_a_batch_to_time_that_does_not_fit_into_a_share_asks_for_a_larger_one(
    gpus: float, kind: Failure
) -> None:
    error = BatchTooLargeError("a batch of 128 does not fit")
    message = describe_failure(error, gpus=gpus, worker=WorkerInfo())
    assert isinstance(message, AttemptFailed)
    assert message.failure is kind


CUDA_ERROR = """CUDA error: an illegal memory access was encountered
CUDA kernel errors might be asynchronously reported at some other API call.
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."""


@pytest.mark.parametrize("mps", [True, False])
@pytest.mark.parametrize(
    ("error", "is_initialized", "ends"),
    [
        (RuntimeError(CUDA_ERROR), True, True),
        (ValueError("anything, once the card is lost"), True, True),
        (
            RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment"),
            False,
            True,
        ),
        (ValueError("no use of the GPU so far"), False, False),
    ],
)
def test_a_gpu_that_is_lost_ends_the_process_with_its_reason_in_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, is_initialized: bool, ends: bool, mps: bool
) -> None:
    def synchronize(device: object = None) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr("tune_jobs.worker.describing_failure.uses_mps", lambda: mps)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: is_initialized)
    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    require_working_device("cpu", error)
    if not ends:
        require_working_device("cuda", error)
        return
    with pytest.raises(BrokenDeviceError) as raised:
        require_working_device("cuda", error)
    assert len(str(raised.value).splitlines()) == 1
    assert str(error).splitlines()[0] in str(raised.value)
    assert (BrokenDeviceError.SHARED in str(raised.value)) is mps


def test_one_network_that_no_compiler_takes_ends_its_trial_and_not_the_run() -> None:
    words = ("mode fp32/nchw/compile on cpu", "the model cannot be compiled: KeyError: 'x'")
    of_trial = describe_failure(NotCompiledError(*words), gpus=0, worker=WorkerInfo())
    of_worker = describe_failure(UnsupportedModeError(*words), gpus=0, worker=WorkerInfo())
    assert isinstance(of_trial, AttemptFailed)
    assert isinstance(of_worker, WorkerUnusable)


@pytest.mark.parametrize(
    "error",
    [
        TuneJobsError("no"),
        RunFailedError("no"),
        StoreError("no"),
        BrokenDeviceError("no"),
        DatasetMissingError("no"),
        UnsupportedModeError("fp32", "no"),
        EmlError("no"),
        InvalidValueError("no"),
    ],
)
def test_an_error_of_ours_out_of_own_training_ends_its_trial_and_not_the_run(error: Exception) -> None:
    carrier = OwnTrainingError()
    carrier.__cause__ = error
    message = describe_failure(carrier, gpus=0, worker=WorkerInfo())
    assert isinstance(message, AttemptFailed)
    assert message.failure is Failure.RAISED
    assert message.error.startswith(f"{type(error).__name__}: ")
    assert "OwnTrainingError" not in message.error
    of_worker = isinstance(error, TuneJobsError | DatasetMissingError | UnsupportedModeError)
    kind = WorkerUnusable if of_worker else AttemptFailed
    assert isinstance(describe_failure(error, gpus=0, worker=WorkerInfo()), kind)


def test_training_that_has_diverged_by_its_own_words_has_diverged() -> None:
    carrier = OwnTrainingError()
    carrier.__cause__ = DivergedError("loss is nan", epoch=3)
    message = describe_failure(carrier, gpus=0, worker=WorkerInfo())
    assert isinstance(message, AttemptFailed)
    assert message.failure is Failure.DIVERGED


def called_by(path: Path, function: Callable[[], object]) -> Exception:
    """The error of a function that code of this path calls."""
    space: dict[str, Any] = {}
    exec(compile("def call(function):\n    function()\n", path, "exec"), space)
    with pytest.raises(KeyError) as raised:
        space["call"](function)
    frames = raised.value.__traceback__
    assert frames is not None
    return raised.value.with_traceback(frames.tb_next)  # without the frame of this file


def test_a_traceback_begins_in_the_code_of_the_user_if_any_frame_is_there() -> None:
    ours = Path(tune_jobs.__file__).parent / "worker" / "own_attempt.py"

    def broken() -> None:
        raise KeyError("widht")

    of_user = describe_failure(called_by(ours, broken), gpus=0, worker=WorkerInfo())
    assert isinstance(of_user, AttemptFailed)
    assert "own_attempt.py" not in of_user.error
    assert f'File "{__file__}"' in of_user.error
    of_ours = describe_failure(called_by(ours, partial({}.pop, "widht")), gpus=0, worker=WorkerInfo())
    assert isinstance(of_ours, AttemptFailed)
    assert "own_attempt.py" in of_ours.error


def test_a_frame_of_the_user_stays_however_deep_in_a_package_the_error_is() -> None:
    calls = "".join(f"def f{n}(): f{n + 1}()\n" for n in range(20))
    space: dict[str, Any] = {}
    exec(
        compile(f"{calls}def f20(): raise KeyError", "/usr/lib/python3.12/site-packages/nn.py", "exec"), space
    )
    with pytest.raises(KeyError) as raised:
        space["f0"]()
    message = describe_failure(raised.value, gpus=0, worker=WorkerInfo())
    assert isinstance(message, AttemptFailed)
    (frame,) = user_frames(message.error, most=3)
    assert frame.startswith(f"{__file__}:")
    assert len(message.error.splitlines()) < 20
