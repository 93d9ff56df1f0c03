"""One attempt of a trial on a worker, as a function trainable of Ray Tune: a loop around `Study.fit`.

It sends messages (`tune_jobs.session.messages`) when training begins, after every epoch, and when training
ends. An error of the training code is a message too, so it neither kills the worker, which later trials use
again, nor gets lost. There is one exception to this: after some errors no CUDA call of the process works any
more. The trainable raises such an error, so that Tune ends the process, and the attempt counts as a crash.

Module state of a worker survives from trial to trial, so everything that a trial needs is set again here.
`tune_jobs.on_ray.tuning` gives the trainable to Tune.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ray import cloudpickle, tune

from eml_models.training.kernels import prepare_process
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.on_ray.private import wait_for_ended_trials, worker_log_files
from tune_jobs.on_ray.worker.capturing import Capture, captured
from tune_jobs.on_ray.worker.gpu_limit import hold_to_share
from tune_jobs.on_ray.worker.payload import Payload
from tune_jobs.on_ray.worker.placing import with_place
from tune_jobs.on_ray.worker.registered import load_parts
from tune_jobs.on_ray.worker.shared_data import provide, wait_for
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.on_ray.worker.training_thread import made_in_training_thread
from tune_jobs.on_ray.worker.watching import while_watched
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import (
    AttemptFailed,
    EpochReported,
    Message,
    TrainingReturned,
    WorkerUnusable,
    must_be_answered,
    to_json,
)
from tune_jobs.study.code_digest import code_digest, with_cost
from tune_jobs.worker.describing_failure import describe_failure, require_working_device
from tune_jobs.worker.describing_worker import (
    with_device,
    with_peak_memory,
)
from tune_jobs.worker.training import Job, iter_training, set_num_threads

MESSAGE = "message"
"""The only key of a worker's reports to Tune; its value is the texts of messages, each in a line."""

LOG = "log"
"""The name of the log among what could not be saved."""


def build_trainable(payload: Payload) -> Callable[[dict[str, Any]], None]:
    """A function trainable for `ray.tune`.

    Its config holds ``recipe`` (JSON), ``gpus``, and the attempt's ``trial_id``, ``number`` and ``attempt``.
    """

    def train_trial(config: dict[str, Any]) -> None:
        wait_for_ended_trials()
        began = time.perf_counter()
        if payload.shared is not None:  # not watched: a download may take longer than the limit of a silence
            wait_for(payload.shared)
        logs = Logs(store=payload.checkpoints.store, study=payload.checkpoints.study)
        with captured(logs, config["number"], config["attempt"], files=worker_log_files()) as capture:
            made = iter_messages(payload, config, began=began)
            batches = made_in_training_thread(made, must_be_answered=must_be_answered)
            watched = while_watched(batches, payload.trial_timeout_s)
            try:
                for messages in watched:
                    texts = [to_json(with_log(message, capture)) for message in messages]
                    tune.report({MESSAGE: "\n".join(texts)})
            finally:
                watched.close()  # the training of a stopped trial tidies up now

    return train_trial


def with_log(message: Message, capture: Capture) -> Message:
    """The message, once the log holds what was printed before it; it says if the log could not be written.

    The driver may read the log as soon as it has the last message.
    """
    capture.copy(now=isinstance(message, AttemptFailed | TrainingReturned | WorkerUnusable))
    if not isinstance(message, EpochReported) or (problem := capture.take_problem()) is None:
        return message
    return replace(message, unsaved={**message.unsaved, LOG: problem})


def iter_messages(
    payload: Payload, config: Mapping[str, Any], *, began: float | None = None
) -> Generator[Message]:
    """The messages of one attempt: that training begins, each epoch, and the end.

    The driver stops the iteration after the last epoch. The first message has the facts about the worker, and
    the seconds of the preparation.

    Args:
        began: the instant at which the preparation began (of `time.perf_counter`); None for now.

    Raises:
        BrokenDeviceError: the process cannot use its GPU any more.
    """
    began = time.perf_counter() if began is None else began
    waited_s = time.perf_counter() - began  # for the shared data set
    worker = WorkerInfo()
    try:
        worker = with_place(worker)
        check_store(payload.probe)
        _prepare(payload, config["gpus"])
        worker = with_device(
            worker,
            payload.device,
            kernels=str(payload.kernels) if payload.is_shipped else None,
            is_alone=config["gpus"] >= 1,
        )
        fit: Callable[..., Iterable[Any]] = cloudpickle.loads(payload.fit)
        worker = replace(worker, code=with_cost(code_digest(fit), payload.cost_code))
        if payload.is_shipped:  # `fit` would import torch when it is called, and count that as time for data
            import eml_models.training.loop  # noqa: F401 - imported for its effect
        worker = replace(worker, imports_s=time.perf_counter() - began - waited_s)
        job = Job(
            number=config["number"],
            attempt=config["attempt"],
            recipe=config["recipe"],
            acknowledged=dict(config.get("acknowledged", ())),
        )
        yield from iter_training(fit, payload, job, worker, waited_s=waited_s)
    except Exception as error:  # of any type: training code may raise anything, and it fails its trial alone
        require_working_device(payload.device, error)
        worker = with_peak_memory(worker, payload.device)
        yield describe_failure(error, gpus=config["gpus"], worker=worker)


@cache
def check_store(probe: StoreProbe) -> None:
    """Check, once for each process, that this worker sees the driver's store and may write to it."""
    probe.check()


def _prepare(payload: Payload, gpus: float) -> None:
    set_num_threads(payload.threads)
    if payload.is_shipped:
        prepare_process(payload.kernels)  # first: a latency is measured before the training begins
    load_parts(payload.code, payload.registered)
    if payload.shared is not None:
        provide(payload.shared)
    if gpus:
        # for each trial: the last trial of this process may have had another share
        hold_to_share(gpus, payload.beside_bytes)
