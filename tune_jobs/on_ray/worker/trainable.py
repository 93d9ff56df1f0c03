"""What runs on a worker: one attempt of a trial as a Ray Tune function trainable.

A loop around `Study.fit`. It reports that training begins, every epoch, and also how it ended, as messages
(`tune_jobs.on_ray.messages`), so that an exception in a user's training code neither kills the worker (which
is reused) nor gets lost. The exception is an error after which no CUDA call of the process works any more:
the trainable raises it, so that Tune ends the process, and the attempt counts as a crash. Module state of a
reused worker survives from trial to trial; whatever a trial needs is set anew here.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ray import cloudpickle, tune

from eml_models.training.kernels import prepare_process
from eml_models.training.recipe import Recipe
from tune_jobs.checkpoints.saving import Saving
from tune_jobs.on_ray.messages import (
    EpochReported,
    LatencyMeasured,
    Message,
    Metric,
    TrainingBegan,
    TrainingReturned,
    to_json,
)
from tune_jobs.on_ray.private import wait_for_ended_trials
from tune_jobs.on_ray.worker.describing_failure import describe_failure, require_working_device
from tune_jobs.on_ray.worker.describing_worker import with_device, with_peak_memory, with_place, with_training
from tune_jobs.on_ray.worker.gpu_limit import hold_to_share
from tune_jobs.on_ray.worker.payload import Payload
from tune_jobs.on_ray.worker.registered import load_parts
from tune_jobs.on_ray.worker.shared_data import provide, wait_for
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.on_ray.worker.training_thread import made_in_training_thread
from tune_jobs.on_ray.worker.watching import while_watched
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.report_checks import EPOCH, REPORT_METRICS
from tune_jobs.study.code_digest import code_digest
from tune_jobs.study.json_fields import MAX_SECONDS
from tune_jobs.study.method import LatencyMode

MESSAGE = "message"
"""The one key of what a worker reports to Tune; its value is the text of a message."""


def build_trainable(payload: Payload) -> Callable[[dict[str, Any]], None]:
    """A function trainable for `ray.tune`; its config holds ``recipe`` (JSON), ``gpus`` and the attempt's
    names."""

    def train_trial(config: dict[str, Any]) -> None:
        wait_for_ended_trials()
        began = time.perf_counter()
        if payload.shared is not None:  # unwatched: the first download may take longer than a trial's silence
            wait_for(payload.shared)
        made = made_in_training_thread(iter_messages(payload, config, began=began))
        messages = while_watched(made, payload.trial_timeout_s)
        try:
            for message in messages:
                tune.report({MESSAGE: to_json(message)})
        finally:
            messages.close()  # where the trial was stopped, its training tidies up now

    return train_trial


def iter_messages(
    payload: Payload, config: Mapping[str, Any], *, began: float | None = None
) -> Generator[Message]:
    """What one attempt says: that it begins to train, epoch after epoch, and how it ended if not by its last.

    The first message says where it runs, and for how long it has prepared since `began` (a `perf_counter`).

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
        if payload.is_shipped:  # it imports torch when it is called, which would count as time for the data
            import eml_models.training.loop  # noqa: F401 - for that
        recipe = Recipe.from_json(config["recipe"])
        worker = replace(worker, imports_s=time.perf_counter() - began - waited_s)
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
        first = True
        for report in training:
            if first:
                worker = replace(with_training(worker, recipe, payload), first_step_s=_first_step_s(training))
            first = False
            saving.before_report(training, report)
            unsaved = saving.take_unsaved()
            yield EpochReported(metrics=_metrics(report), unsaved=unsaved, worker=worker)
            worker = WorkerInfo()
            saving.after_report(training)
        yield TrainingReturned(worker=worker)
    except Exception as error:  # whatever training raises is that trial's failure, not the worker's
        require_working_device(payload.device, error)
        worker = with_peak_memory(worker, payload.device)
        yield describe_failure(error, gpus=config["gpus"], worker=worker)


@cache
def check_store(probe: StoreProbe) -> None:
    """Once a process: the store is what the driver sees, and may be written to."""
    probe.check()


def _prepare(payload: Payload, gpus: float) -> None:
    _set_num_threads(payload.threads)
    if payload.is_shipped:
        prepare_process(payload.kernels)  # first: a latency is measured before the training begins
    load_parts(payload.code, payload.registered)
    if payload.shared is not None:
        provide(payload.shared)
    if gpus:
        hold_to_share(
            gpus, payload.beside_bytes
        )  # each time: a reused process may have held another share before


def _set_num_threads(threads: int) -> None:
    """Hold torch to the trial's share of cores, without importing it for a function that does without.

    The number is a thread's own setting and each trial has a thread of its own, so it is set each time.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def measure_latency(recipe: Recipe, how: LatencyMode, device: str) -> float:
    """Milliseconds of a forward pass of the recipe's network, in the study's mode."""
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
    """Where and how to train; only our own training functions know the last two words."""
    options: dict[str, Any] = {"device": payload.device, "data_dir": payload.data_dir}
    if payload.is_shipped:
        options |= {"download": payload.download, "kernels": payload.kernels}
    return options


def _first_step_s(training: Any) -> float | None:
    """Seconds of the first step, if the training says them and they are seconds."""
    seconds = _plain(getattr(training, "first_step_s", None))
    return seconds if isinstance(seconds, float) and 0 <= seconds <= MAX_SECONDS else None


def _metrics(report: Any) -> dict[str, Metric]:
    names = (EPOCH, *REPORT_METRICS)
    return {name: _plain(getattr(report, name)) for name in names if hasattr(report, name)}


def _plain(value: Any) -> Metric:
    """A number of NumPy or torch as Python's; anything else that JSON does not know as its text."""
    if hasattr(value, "item"):
        value = value.item()
    return value if value is None or isinstance(value, bool | int | float) else str(value)
