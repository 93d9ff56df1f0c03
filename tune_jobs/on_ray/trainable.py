"""What runs on a worker: one attempt of a trial as a Ray Tune function trainable.

A loop around `Study.fit`. It reports that training begins, every epoch, and also how it ended, as data, so
that an exception in a user's training code neither kills the worker (which is reused) nor gets lost. The
exception is an error after which no CUDA call of the process works any more: the trainable raises it, so that
Tune ends the process, and the attempt counts as a crash. Module state of a reused worker survives from trial
to trial; whatever a trial needs is set anew here.
"""

from __future__ import annotations

import faulthandler
import json
import os
import platform
import socket
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import ray
from ray import cloudpickle, tune

from eml_models.datasets import data_fingerprint
from eml_models.errors import (
    BatchTooLargeError,
    DatasetMissingError,
    DivergedError,
    NotCompiledError,
    UnsupportedModeError,
)
from eml_models.kernels import Kernels, prepare_process
from eml_models.recipe import Recipe
from tune_jobs.attempt import Failure
from tune_jobs.checkpoints import Checkpoints
from tune_jobs.errors import BrokenDeviceError, TuneJobsError
from tune_jobs.on_ray.gpu_share import CONTEXT_BYTES, hold_to_share
from tune_jobs.on_ray.private import wait_for_ended_trials
from tune_jobs.on_ray.registered import load_parts, pack_registered
from tune_jobs.on_ray.shared_data import SharedData, provide, wait_for
from tune_jobs.on_ray.training_thread import made_in_training_thread
from tune_jobs.rows import REPORT_COLUMNS
from tune_jobs.saving import Saving
from tune_jobs.store_probe import StoreProbe
from tune_jobs.study import METRICS, LatencyMode, Study
from tune_jobs.user_code import UserCode

T = TypeVar("T")

TRACEBACK_LINES = 12
STDERR = 2
MESSAGE = "message"
"""The one key of what a worker reports to Tune; its value is JSON."""

BEGUN, REPORT, FAILURE, ENDED = "begun", "report", "failure", "ended"
UNUSABLE, MEASURED = "unusable", "measured"
"""The kinds of message that a worker sends: training begins, an epoch, a failed attempt, an early return, why
this worker cannot train the study, a latency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Everything a worker needs to train any trial of a study; sent once a process.

    Attributes:
        fit: the study's training function, pickled (by value if it lives in ``__main__``).
        registered: model families and data sets that the driver's program registered, pickled.
        threads: CPU threads a trial may use.
        device: ``cpu`` or ``cuda``.
        is_shipped: whether the training function is one of our own, which takes ``download`` and ``kernels``.
        kernels: how it comes to its kernels on CUDA.
        beside_bytes: what this process takes of a GPU's memory beside torch's allocator.
        download: whether to fetch the data set where it is missing.
        shared: the data set, read once for all workers; None if each reads for itself.
        checkpoint_period_s: training time after which a trial is saved again.
        probe: by which a worker knows the driver's store.
        latency: how each trial's network is measured before it is trained; None for not.
        trial_timeout_s: time without a report after which the worker ends itself; None for ever.
    """

    code: UserCode | None
    fit: bytes
    registered: bytes
    threads: int
    device: str
    data_dir: str | None
    download: bool
    checkpoints: Checkpoints
    checkpoint_period_s: float
    probe: StoreProbe
    is_shipped: bool = False
    kernels: str = Kernels.DEFAULT
    beside_bytes: int = CONTEXT_BYTES
    trial_timeout_s: float | None = None
    latency: LatencyMode | None = None
    shared: SharedData | None = None


def build_payload(study: Study, code: UserCode | None, **settings: Any) -> Payload:
    """The payload of a study; `settings` are the fields that the run decides."""
    return Payload(code=code, fit=cloudpickle.dumps(study.fit), registered=pack_registered(code), **settings)


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
                # one text: Tune flattens dictionaries and keeps statistics of each number in them
                tune.report({MESSAGE: json.dumps(message)})
        finally:
            messages.close()  # where the trial was stopped, its training tidies up now

    return train_trial


def while_watched(messages: Generator[T], limit_s: float | None) -> Generator[T]:
    """The messages; if the next one takes longer than `limit_s` seconds, this process ends.

    So it does if they take longer to be closed. The watch runs in a thread that needs no Python, so a
    deadlock or a hung call of a library does not stop it. It writes where the process stood to the worker's
    log. Waiting for the driver does not count.
    """
    while True:
        with _watch(limit_s):
            try:
                message = next(messages)
            except StopIteration:
                return
        try:
            yield message
        except GeneratorExit:
            with _watch(limit_s):
                messages.close()
            raise


@contextmanager
def _watch(limit_s: float | None) -> Iterator[None]:
    if limit_s is not None:
        faulthandler.dump_traceback_later(limit_s, exit=True, file=STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def iter_messages(
    payload: Payload, config: Mapping[str, Any], *, began: float | None = None
) -> Generator[dict[str, Any]]:
    """What one attempt says: that it begins to train, epoch after epoch, and how it ended if not by its last.

    The first message says where it runs, and for how long it has prepared since `began` (a `perf_counter`).

    Raises:
        BrokenDeviceError: the process cannot use its GPU any more.
    """
    began = time.perf_counter() if began is None else began
    waited_s = time.perf_counter() - began  # for the shared data set
    worker: dict[str, Any] = {}
    try:
        worker |= _describe_place()
        _check_store(payload.probe)
        _prepare(payload, config["gpus"])
        worker |= _describe_device(payload)
        fit: Callable[..., Iterable[Any]] = cloudpickle.loads(payload.fit)
        if payload.is_shipped:  # it imports torch when it is called, which would be told as time for the data
            import eml_models.train  # noqa: F401 - for that
        recipe = Recipe.from_json(config["recipe"])
        worker["imports_s"] = time.perf_counter() - began - waited_s
        if payload.latency is not None:
            measuring_at = time.perf_counter()
            latency_ms = _measure_latency(recipe, payload.latency, payload.device)
            worker["latency_s"] = time.perf_counter() - measuring_at
            yield {"kind": MEASURED, "latency_ms": latency_ms, "worker": worker}
        saving = _saving_of(payload, config, recipe)
        loading_at = time.perf_counter()
        training = saving.begin(fit, recipe, **_options_of(payload))
        worker |= {
            "resumed_from_epoch": saving.resumed_from_epoch,
            "passed_over": saving.passed_over,
            "data_s": time.perf_counter() - loading_at + waited_s,
            **_describe_training(recipe, payload),
        }
        yield {"kind": BEGUN, "worker": worker}
        worker = {}
        first = True
        for report in training:
            if first:
                worker = {"first_step_s": _first_step_s(training), **_describe_training(recipe, payload)}
            first = False
            saving.before_report(training, report)
            unsaved = saving.take_unsaved()
            yield {"kind": REPORT, "metrics": _metrics(report), "unsaved": unsaved, "worker": worker}
            worker = {}
            saving.after_report(training)
        yield {"kind": ENDED, "worker": worker}
    except Exception as error:  # whatever training raises is that trial's failure, not the worker's
        _require_working_device(payload.device, error)
        worker["peak_memory_bytes"] = _peak_memory_bytes(payload.device)
        yield {**_describe_failure(error, config["gpus"]), "worker": worker}


def _options_of(payload: Payload) -> dict[str, Any]:
    """Where and how to train; only our own training functions know the last two words."""
    options: dict[str, Any] = {"device": payload.device, "data_dir": payload.data_dir}
    if payload.is_shipped:
        options |= {"download": payload.download, "kernels": payload.kernels}
    return options


def _describe_training(recipe: Recipe, payload: Payload) -> dict[str, Any]:
    """What is known once the data is there; a function that yields its epochs reads it for the first."""
    return {"data_fingerprint": _fingerprint(recipe, payload), "torch_version": _torch_version()}


def _first_step_s(training: Any) -> float | None:
    """Seconds of the first step, if the training tells."""
    seconds = _plain(getattr(training, "first_step_s", None))
    return seconds if isinstance(seconds, float) else None


def _require_working_device(device: str, error: Exception) -> None:
    """Raise what ends this process, if its GPU cannot be used from here any more."""
    if device == "cpu" or "torch" not in sys.modules:
        return
    import torch

    from eml_models.device_errors import is_broken

    if torch.cuda.is_initialized() and is_broken(torch.device(device)):
        raise BrokenDeviceError(
            f"every later CUDA call of this process would fail, so it ends: {type(error).__name__}: {error}"
        ) from error


def _saving_of(payload: Payload, config: Mapping[str, Any], recipe: Recipe) -> Saving:
    return Saving(
        checkpoints=payload.checkpoints,
        number=config["number"],
        attempt=config["attempt"],
        epochs=recipe.epochs,
        period_s=payload.checkpoint_period_s,
    )


@cache
def _describe_place() -> Mapping[str, Any]:
    """Where this process runs; asked for once."""
    return {"node": ray.util.get_node_ip_address(), "hostname": socket.gethostname()}


@cache
def _check_store(probe: StoreProbe) -> None:
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


def _measure_latency(recipe: Recipe, how: LatencyMode, device: str) -> float:
    from eml_models.latency.modes import parse_mode
    from eml_models.latency.recipes import measure_recipe_latency

    return measure_recipe_latency(recipe, mode=parse_mode(how.mode), batch_size=how.batch_size, device=device)


def _set_num_threads(threads: int) -> None:
    """Hold torch to the trial's share of cores, without importing it for a function that does without.

    The number is a thread's own setting and each trial has a thread of its own, so it is set each time.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def _describe_device(payload: Payload) -> dict[str, Any]:
    if payload.device == "cpu":
        return {"device": f"cpu: {platform.machine()}"}
    import torch

    described: dict[str, Any] = {"device": f"cuda: {torch.cuda.get_device_name()}"}
    if payload.is_shipped:
        described |= {"kernels": payload.kernels, "cudnn_version": torch.backends.cudnn.version()}
    return described


def _fingerprint(recipe: Recipe, payload: Payload) -> str | None:
    """The data's fingerprint, if the training function used the data set at all."""
    return data_fingerprint(recipe.dataset, data_dir=payload.data_dir, only_if_loaded=True)


def _torch_version() -> str | None:
    """With its build (``+cu130``); None for a training function that does without torch."""
    return str(sys.modules["torch"].__version__) if "torch" in sys.modules else None


def _metrics(report: Any) -> dict[str, Any]:
    names = {"epoch", *REPORT_COLUMNS, *METRICS}
    return {name: _plain(getattr(report, name)) for name in names if hasattr(report, name)}


def _plain(value: Any) -> Any:
    """A number of NumPy or torch as Python's; anything else that JSON does not know as its text."""
    if hasattr(value, "item"):
        value = value.item()
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _peak_memory_bytes(device: str) -> int | None:
    """The most memory that a failed attempt took, if torch was there to tell."""
    if "torch" not in sys.modules:
        return None
    import torch

    from eml_models.device_state import peak_memory_bytes

    return peak_memory_bytes(torch.device(device)) if device == "cpu" or torch.cuda.is_available() else None


def _describe_failure(error: Exception, gpus: float) -> dict[str, Any]:
    of_this_machine = isinstance(error, DatasetMissingError | UnsupportedModeError | TuneJobsError)
    if of_this_machine and not isinstance(error, NotCompiledError):
        return {"kind": UNUSABLE, "error": str(error)}
    lines = "".join(traceback.format_exception(error)).strip().splitlines()
    text = "\n".join([f"{type(error).__name__}: {error}", *lines[-TRACEBACK_LINES:]])
    return {"kind": FAILURE, "failure": str(_failure_kind(error, gpus)), "error": text}


def _failure_kind(error: Exception, gpus: float) -> Failure:
    if isinstance(error, DivergedError):
        return Failure.DIVERGED
    if isinstance(error, BatchTooLargeError) or _ran_out_on_device(error):
        return Failure.OUT_OF_SHARE if 0 < gpus < 1 else Failure.OUT_OF_MEMORY
    return Failure.OUT_OF_MEMORY if _ran_out(error) else Failure.RAISED


def _ran_out_on_device(error: Exception) -> bool:
    if "torch" not in sys.modules:
        return False
    from eml_models.device_errors import is_out_of_device_memory

    return is_out_of_device_memory(error)


def _ran_out(error: Exception) -> bool:
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from eml_models.device_errors import is_out_of_memory

    return is_out_of_memory(error)
