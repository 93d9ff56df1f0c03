"""One attempt of a trial in this process, from its recipe to its last message: shipped or own training.

Knows neither Ray nor the driver. `tune_jobs.on_ray.worker.trainable` sends the messages to the driver of a
cluster, and `tune_jobs.worker.inline` passes them to a session in the same process.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from eml_models.training.execution import Execution
from eml_models.training.kernels import Kernels
from eml_models.training.recipe import Recipe
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.saving import Saving
from tune_jobs.session.attempt import Attempt, WorkerInfo
from tune_jobs.session.messages import (
    EpochReported,
    LatencyMeasured,
    Message,
    Metric,
    TrainingBegan,
    TrainingReturned,
)
from tune_jobs.session.report_checks import EPOCH, REPORT_METRICS, number_of, values_of
from tune_jobs.study.json_fields import MAX_SECONDS
from tune_jobs.study.method import LatencyMode
from tune_jobs.study.own_training import OwnRecipe, Train
from tune_jobs.worker.describing_failure import OwnTrainingError
from tune_jobs.worker.describing_worker import with_torch, with_training
from tune_jobs.worker.own_attempt import OwnAttempt

MAX_WORDS = 300
"""The most characters of the reason why steps are eager."""


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """How the trials of a study are trained on a worker, whichever trial it is.

    Attributes:
        threads: CPU threads that a trial may use.
        device: ``cpu`` or ``cuda``.
        is_shipped: whether the training function is shipped, so that it takes ``download``, ``kernels``
            and ``execution``.
        is_own: whether it is the user's own (`Study.train`), which gets params and a run instead of a recipe.
        kernels: the choice of kernels on CUDA.
        execution: the choice of eager steps or graphs on CUDA.
        download: whether to fetch the data set where it is missing.
        checkpoint_period_s: seconds of training after which a trial is saved again.
        latency: the way to measure each network before its training; None for no measurement.
        rungs: the epochs at which the study decides whether a trial continues.
        cost_code: the digest of the study's cost function, which runs in the driver; None without a function.
    """

    threads: int
    device: str
    data_dir: str | None
    download: bool
    checkpoints: Checkpoints
    checkpoint_period_s: float
    is_shipped: bool = False
    is_own: bool = False
    kernels: str = Kernels.DEFAULT
    execution: str = Execution.AUTO
    latency: LatencyMode | None = None
    rungs: tuple[int, ...] = ()
    cost_code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attempt of a trial, as a worker gets it.

    Attributes:
        recipe: as JSON; of own training, its params, epochs and seed.
        acknowledged: as of `Attempt`.
    """

    number: int
    attempt: int
    recipe: str
    acknowledged: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, attempt: Attempt) -> Job:
        """The job of an attempt that a session has handed out."""
        return cls(
            number=attempt.number,
            attempt=attempt.attempt,
            recipe=attempt.recipe_text,
            acknowledged=attempt.acknowledged,
        )


def iter_training(
    fit: Callable[..., Any], setup: TrainingSetup, job: Job, worker: WorkerInfo, *, waited_s: float = 0.0
) -> Generator[Message]:
    """The messages of one attempt: a measured latency, that training begins, each epoch, and the end.

    The taker of the messages stops the iteration after the last epoch. The first message has the facts about
    the worker.

    Args:
        worker: the facts that are known already.
        waited_s: seconds that the worker has waited for shared data; they count as time for data.
    """
    if setup.is_own:
        yield from _iter_own(fit, setup, job, worker)
        return
    recipe = Recipe.from_json(job.recipe)
    if setup.latency is not None:
        measuring_at = time.perf_counter()
        latency_ms = measure_latency(recipe, setup.latency, setup.device)
        worker = replace(worker, latency_s=time.perf_counter() - measuring_at)
        yield LatencyMeasured(latency_ms=latency_ms, worker=worker)
    yield from _iter_recipe(fit, recipe, setup, job, worker, waited_s=waited_s)


def _iter_recipe(
    fit: Callable[..., Iterable[Any]],
    recipe: Recipe,
    setup: TrainingSetup,
    job: Job,
    worker: WorkerInfo,
    *,
    waited_s: float,
) -> Generator[Message]:
    saving = Saving(
        checkpoints=setup.checkpoints,
        number=job.number,
        attempt=job.attempt,
        epochs=recipe.epochs,
        period_s=setup.checkpoint_period_s,
    )
    loading_at = time.perf_counter()
    training = saving.begin(fit, recipe, **_options_of(setup))
    worker = replace(
        with_training(worker, recipe, data_dir=setup.data_dir),
        resumed_from_epoch=saving.resumed_from_epoch,
        passed_over=saving.passed_over,
        data_s=time.perf_counter() - loading_at + waited_s,
    )
    yield TrainingBegan(worker=worker)
    worker, first, last_epoch = WorkerInfo(), True, saving.resumed_from_epoch
    execution = WorkerInfo()
    for report in training:
        if first:
            worker = with_training(worker, recipe, data_dir=setup.data_dir)
            worker = replace(worker, first_step_s=_first_step_s(training))
        first = False
        if setup.device != "cpu" and (now := _execution_of(training)) != execution:
            execution = now
            worker = replace(
                worker,
                execution=now.execution,
                eager_because=now.eager_because,
                step_s=now.step_s,
                gpu_busy=now.gpu_busy,
            )
        saving.before_report(training, report)
        unsaved, metrics = saving.take_unsaved(), _metrics(report)
        waits = saving.is_due or not goes_on(metrics, last_epoch, recipe.epochs, setup.rungs)
        yield EpochReported(metrics=metrics, unsaved=unsaved, waits=waits, worker=worker)
        worker, last_epoch = WorkerInfo(), report.epoch
        if waits:  # only then has the driver recorded the report
            saving.after_report(training)
    yield TrainingReturned(worker=worker)


def _iter_own(train: Train, setup: TrainingSetup, job: Job, worker: WorkerInfo) -> Generator[Message]:
    """The messages of an attempt of own training; the function begins with the first report.

    Raises:
        OwnTrainingError: the function raised an error, which is the cause.
    """
    training = OwnAttempt(
        train,
        OwnRecipe.from_json(job.recipe),
        number=job.number,
        attempt=job.attempt,
        acknowledged=job.acknowledged,
        device=setup.device,
        data_dir=setup.data_dir,
        checkpoints=setup.checkpoints,
    )
    yield TrainingBegan(worker=worker)
    reports = training.iter_reports()
    try:
        for report in reports:
            seconds = {"epoch": report.epoch, "epoch_s": report.epoch_s, "elapsed_s": report.elapsed_s}
            yield EpochReported(
                metrics=seconds,
                own=report.metrics,
                unsaved=training.take_unsaved(),
                advice=training.advice,
                worker=training.with_resumed(with_torch(WorkerInfo())),
            )
    except Exception as error:  # raised again; the end of a failed attempt says too what it loaded
        if (loaded := training.with_resumed(WorkerInfo())) != WorkerInfo():
            yield TrainingBegan(worker=loaded)
        raise OwnTrainingError(str(type(error))) from error
    finally:
        reports.close()  # now, in this thread, and not when the generator is collected
    yield TrainingReturned(worker=training.with_resumed(WorkerInfo()))


def set_num_threads(threads: int) -> None:
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


def _options_of(setup: TrainingSetup) -> dict[str, Any]:
    """Keyword arguments of `Study.fit`; only the shipped training functions take the last three."""
    options: dict[str, Any] = {"device": setup.device, "data_dir": setup.data_dir}
    if setup.is_shipped:
        options |= {"download": setup.download, "kernels": setup.kernels}
        options["execution"] = setup.execution
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
    return _seconds(getattr(training, "first_step_s", None))


def _seconds(value: object) -> float | None:
    """A valid number of seconds; None for anything else that a training may say."""
    seconds = _plain(value)
    return seconds if isinstance(seconds, float) and 0 <= seconds <= MAX_SECONDS else None


def _execution_of(training: Any) -> WorkerInfo:
    """How the training executes its steps, why they are eager, and their time, as far as it says so."""
    times = getattr(training, "step_times", None)
    step_s, busy = _seconds(getattr(times, "step_s", None)), _seconds(getattr(times, "busy", None))
    return WorkerInfo(
        execution=_as_words(getattr(training, "execution", None)),
        eager_because=_as_words(getattr(training, "eager_because", None)),
        step_s=step_s,
        gpu_busy=busy if busy is not None and busy <= 1 else None,
    )


def _as_words(said: object) -> str | None:
    """A text for an event: it becomes JSON, and may quote an error of a network's code."""
    return said[:MAX_WORDS].encode(errors="replace").decode() if isinstance(said, str) else None


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
