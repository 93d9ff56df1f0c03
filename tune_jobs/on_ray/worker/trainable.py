"""One attempt of a trial on a worker, as a function trainable of Ray Tune: a loop around `Study.fit`.

It sends messages (`tune_jobs.on_ray.messages`) when training begins, after every epoch, and when training
ends. An error of the training code is a message too, so it neither kills the worker, which later trials use
again, nor gets lost. There is one exception to this: after some errors no CUDA call of the process works any
more. The trainable raises such an error, so that Tune ends the process, and the attempt counts as a crash.

Module state of a worker survives from trial to trial, so everything that a trial needs is set again here.
`tune_jobs.on_ray.tuning` gives the trainable to Tune.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from ray import cloudpickle, tune

from eml_models.training.kernels import prepare_process
from eml_models.training.recipe import Recipe
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.checkpoints.saving import Saving
from tune_jobs.on_ray.messages import (
    AttemptFailed,
    EpochReported,
    LatencyMeasured,
    Message,
    Metric,
    TrainingBegan,
    TrainingReturned,
    WorkerUnusable,
    must_be_answered,
    to_json,
)
from tune_jobs.on_ray.private import wait_for_ended_trials, worker_log_files
from tune_jobs.on_ray.worker.capturing import Capture, captured
from tune_jobs.on_ray.worker.describing_failure import describe_failure, require_working_device
from tune_jobs.on_ray.worker.describing_worker import (
    with_device,
    with_peak_memory,
    with_place,
    with_torch,
    with_training,
)
from tune_jobs.on_ray.worker.gpu_limit import hold_to_share
from tune_jobs.on_ray.worker.payload import Payload
from tune_jobs.on_ray.worker.registered import load_parts
from tune_jobs.on_ray.worker.shared_data import provide, wait_for
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.on_ray.worker.training_thread import made_in_training_thread
from tune_jobs.on_ray.worker.watching import while_watched
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.report_checks import EPOCH, REPORT_METRICS, number_of, values_of
from tune_jobs.study.code_digest import code_digest
from tune_jobs.study.json_fields import MAX_SECONDS
from tune_jobs.study.method import LatencyMode
from tune_jobs.study.own_training import OwnRecipe, Train
from tune_jobs.worker.own_attempt import OwnAttempt

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
        worker = with_device(worker, payload)
        fit: Callable[..., Iterable[Any]] = cloudpickle.loads(payload.fit)
        worker = replace(worker, code=code_digest(fit))
        if payload.is_shipped:  # `fit` would import torch when it is called, and count that as time for data
            import eml_models.training.loop  # noqa: F401 - imported for its effect
        worker = replace(worker, imports_s=time.perf_counter() - began - waited_s)
        if payload.is_own:
            yield from _iter_own_messages(fit, payload, config, worker)
            return
        recipe = Recipe.from_json(config["recipe"])
        if payload.latency is not None:
            measuring_at = time.perf_counter()
            latency_ms = measure_latency(recipe, payload.latency, payload.device)
            worker = replace(worker, latency_s=time.perf_counter() - measuring_at)
            yield LatencyMeasured(latency_ms=latency_ms, worker=worker)
        saving = _saving_of(payload, config, recipe)
        loading_at = time.perf_counter()
        training = saving.begin(fit, recipe, **_options_of(payload))
        worker = replace(
            with_training(worker, recipe, payload),
            resumed_from_epoch=saving.resumed_from_epoch,
            passed_over=saving.passed_over,
            data_s=time.perf_counter() - loading_at + waited_s,
        )
        yield TrainingBegan(worker=worker)
        worker = WorkerInfo()
        first, last_epoch = True, saving.resumed_from_epoch
        for report in training:
            if first:
                worker = replace(with_training(worker, recipe, payload), first_step_s=_first_step_s(training))
            first = False
            saving.before_report(training, report)
            unsaved, metrics = saving.take_unsaved(), _metrics(report)
            waits = saving.is_due or not goes_on(metrics, last_epoch, recipe.epochs, payload.rungs)
            yield EpochReported(metrics=metrics, unsaved=unsaved, waits=waits, worker=worker)
            worker, last_epoch = WorkerInfo(), report.epoch
            if waits:  # only then has the driver recorded the report
                saving.after_report(training)
        yield TrainingReturned(worker=worker)
    except Exception as error:  # of any type: training code may raise anything, and it fails its trial alone
        require_working_device(payload.device, error)
        worker = with_peak_memory(worker, payload.device)
        yield describe_failure(error, gpus=config["gpus"], worker=worker)


def _iter_own_messages(
    train: Train, payload: Payload, config: Mapping[str, Any], worker: WorkerInfo
) -> Generator[Message]:
    """The messages of an attempt of own training; the function begins with the first report."""
    training = OwnAttempt(
        train,
        OwnRecipe.from_json(config["recipe"]),
        number=config["number"],
        attempt=config["attempt"],
        acknowledged=config["acknowledged"],
        device=payload.device,
        data_dir=payload.data_dir,
        checkpoints=payload.checkpoints,
    )
    yield TrainingBegan(worker=worker)
    for report in training.iter_reports():
        seconds = {"epoch": report.epoch, "epoch_s": report.epoch_s, "elapsed_s": report.elapsed_s}
        yield EpochReported(
            metrics=seconds,
            own=report.metrics,
            unsaved=training.take_unsaved(),
            worker=with_torch(WorkerInfo()),
        )
    yield TrainingReturned(worker=WorkerInfo())


@cache
def check_store(probe: StoreProbe) -> None:
    """Check, once for each process, that this worker sees the driver's store and may write to it."""
    probe.check()


def _prepare(payload: Payload, gpus: float) -> None:
    _set_num_threads(payload.threads)
    if payload.is_shipped:
        prepare_process(payload.kernels)  # first: a latency is measured before the training begins
    load_parts(payload.code, payload.registered)
    if payload.shared is not None:
        provide(payload.shared)
    if gpus:
        # for each trial: the last trial of this process may have had another share
        hold_to_share(gpus, payload.beside_bytes)


def _set_num_threads(threads: int) -> None:
    """Limit torch to the trial's cores; does not import torch for a function that works without it.

    The limit is set for each trial, because the training code of the last trial may have changed it.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def measure_latency(recipe: Recipe, how: LatencyMode, device: str) -> float:
    """Milliseconds of a forward pass of the recipe's network in the study's mode."""
    from eml_models.latency.measuring.modes import parse_mode
    from eml_models.latency.measuring.of_recipe import measure_recipe_latency

    return measure_recipe_latency(recipe, mode=parse_mode(how.mode), batch_size=how.batch_size, device=device)


def _saving_of(payload: Payload, config: Mapping[str, Any], recipe: Recipe) -> Saving:
    return Saving(
        checkpoints=payload.checkpoints,
        number=config["number"],
        attempt=config["attempt"],
        epochs=recipe.epochs,
        period_s=payload.checkpoint_period_s,
    )


def _options_of(payload: Payload) -> dict[str, Any]:
    """Keyword arguments of `Study.fit`; only the shipped training functions take the last two."""
    options: dict[str, Any] = {"device": payload.device, "data_dir": payload.data_dir}
    if payload.is_shipped:
        options |= {"download": payload.download, "kernels": payload.kernels}
    return options


def goes_on(metrics: Mapping[str, Metric], last_epoch: int, epochs: int, rungs: Sequence[int]) -> bool:
    """Whether the trial trains on after a report whatever the driver decides about other trials.

    Args:
        last_epoch: the epoch of the report before, 0 before the first.
        epochs: of the recipe.
        rungs: the epochs at which the study decides.
    """
    epoch = metrics.get(EPOCH)
    if not isinstance(epoch, int) or epoch >= epochs or any(last_epoch < rung <= epoch for rung in rungs):
        return False
    return all(math.isfinite(number) for name in metrics if (number := number_of(metrics[name])) is not None)


def _first_step_s(training: Any) -> float | None:
    """Seconds of the first step, if the training gives a valid number of seconds."""
    seconds = _plain(getattr(training, "first_step_s", None))
    return seconds if isinstance(seconds, float) and 0 <= seconds <= MAX_SECONDS else None


def _metrics(report: Any) -> dict[str, Metric]:
    known = {EPOCH, *REPORT_METRICS}
    return {
        name: _plain(value) if name in known else _plain_other(value)
        for name, value in values_of(report).items()
    }


def _plain_other(value: Any) -> Metric:
    """A value of a report that is not one of its metrics: a number, or else the name of its type, since it
    may be an object of any size."""
    return _plain(value) if value is None or isinstance(value, int | float) else type(value).__name__


def _plain(value: Any) -> Metric:
    """A number of NumPy or torch as a Python number; any other value that JSON does not know as text.

    A whole number beyond every float becomes infinite, because Python does not write very long ones as text.
    """
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int) and number_of(value) in (math.inf, -math.inf):
        return number_of(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)
