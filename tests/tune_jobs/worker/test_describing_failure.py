"""The kind of failure of an error: of the attempt, of its share, or of the worker."""

from __future__ import annotations

import pytest

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
from tune_jobs.worker.describing_failure import OwnTrainingError, describe_failure

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(("gpus", "kind"), [(0.5, Failure.OUT_OF_SHARE), (1.0, Failure.OUT_OF_MEMORY)])
def test_a_batch_to_time_that_does_not_fit_into_a_share_asks_for_a_larger_one(
    gpus: float, kind: Failure
) -> None:
    error = BatchTooLargeError("a batch of 128 does not fit")
    message = describe_failure(error, gpus=gpus, worker=WorkerInfo())
    assert isinstance(message, AttemptFailed)
    assert message.failure is kind


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
