"""A study run in this process, without Ray: one trial after the other, for a first try and for a debugger.

Prints, breakpoints and errors are where they are in a script. The session, its decisions and its rows are
those of a run with one worker. `tune_jobs.on_ray.runner` calls this for `RunSettings.inline`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace

from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.errors import BrokenDeviceError, RunFailedError
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import Message
from tune_jobs.session.settings import ProgressListener, RunSettings
from tune_jobs.session.state_machine import Session
from tune_jobs.session.taking import MessageTaker
from tune_jobs.store.files.protocol import absolute
from tune_jobs.study.code_digest import code_digest
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import Decision, Failure
from tune_jobs.worker.describing_failure import describe_failure, require_working_device
from tune_jobs.worker.describing_worker import with_device, with_peak_memory
from tune_jobs.worker.failure_lines import FailureLines
from tune_jobs.worker.training import Job, TrainingSetup, iter_training, set_num_threads


def run_inline(
    session: Session,
    settings: RunSettings,
    checkpoints: Checkpoints,
    *,
    ended: Callable[[], bool],
    on_progress: ProgressListener,
) -> bool:
    """Train what a session hands out until it has finished; True if a signal ended it.

    A signal takes effect at the next message of the trial; a trial that it cuts short is continued by the
    next run.

    Raises:
        RunFailedError: too many trials failed one after the other, the search has no proposal, or the GPU can
            be used no longer.
    """
    setup = _setup_of(session.study, settings, checkpoints)
    code = code_digest(session.study.training, session.study.cost)  # once: a callable object may change
    taker = MessageTaker(session)
    failures = FailureLines(Logs(store=absolute(settings.store), study=session.study.name))
    while not (ended() or session.limit_reached):
        attempt = session.next_attempt()
        if attempt is None:
            return False
        session.take_worker(attempt.number)
        with closing(_iter_messages(session.study, setup, Job.of(attempt), code)) as messages:
            for message in _recording_faults(messages, session, attempt.number):
                worker = replace(message.worker, pid=os.getpid())
                try:
                    decision = taker.take(attempt.number, message, worker)
                finally:  # the failure that ends the run is said too
                    failures.say_end(session.history.trials[attempt.number])
                on_progress(session.progress())
                if decision is Decision.STOP or ended():
                    break
    return ended()


def _recording_faults(messages: Iterator[Message], session: Session, number: int) -> Iterator[Message]:
    """The messages; a GPU that this process can use no longer ends the run, and counts as a crash.

    Raises:
        RunFailedError: the GPU cannot be used any more.
    """
    try:
        yield from messages
    except BrokenDeviceError as error:
        session.record_failure(number, Failure.CRASHED, str(error), worker=WorkerInfo())
        raise RunFailedError(
            f"trial {number} left a GPU that this process cannot use: {error}. Run the same command again,"
            " which continues the study in a new process"
        ) from error


def _setup_of(study: Study, settings: RunSettings, checkpoints: Checkpoints) -> TrainingSetup:
    return TrainingSetup(
        threads=settings.cpus_per_trial,
        device=_device_of(settings),
        data_dir=settings.data_dir,
        download=settings.download,
        checkpoints=checkpoints,
        checkpoint_period_s=settings.checkpoint_period_s,
        is_shipped=not study.has_own_fit,
        is_own=study.train is not None,
        kernels=settings.kernels,
        execution=settings.execution,
        latency=study.latency,
        rungs=tuple(study.rungs),
    )


def _device_of(settings: RunSettings) -> str:
    """The device of `settings`; ``auto`` is CUDA where there is a GPU and the trials are to use one."""
    if settings.device != "auto":
        return settings.device
    if settings.gpus_per_trial == 0:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _iter_messages(study: Study, setup: TrainingSetup, job: Job, code: str) -> Generator[Message]:
    """The messages of an attempt; an error of its training is the last one."""
    began = time.perf_counter()
    worker = WorkerInfo(hostname=socket.gethostname(), code=code)
    try:
        if setup.is_shipped:  # else the call of the function would import torch, and count that as data
            import eml_models.training.loop  # noqa: F401 - imported for its effect
        set_num_threads(setup.threads)
        worker = with_device(worker, setup.device, kernels=setup.kernels if setup.is_shipped else None)
        worker = replace(worker, imports_s=time.perf_counter() - began)
        yield from iter_training(study.training, setup, job, worker)
    except Exception as error:  # of any type: training code may raise anything, and it fails its trial alone
        require_working_device(setup.device, error)
        yield describe_failure(error, gpus=0.0, worker=with_peak_memory(worker, setup.device))
