"""Measures the load of a training on its device in a few steps: memory, and the share of the device's time.

Called where several trainings share a device. It also measures the pace of steps in a row, so that processes
side by side can be compared with a single one. The result is for exactly this recipe: a larger batch or
network needs more. Not included: the extra needs of the first steps (a search for kernels, if there is one),
and the memory of a saved checkpoint on the host.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from eml_models.training.device_load import Pace, StepLoad
from eml_models.training.device_state import bytes_of_others, peak_memory_bytes, synchronize
from eml_models.training.execution import Execution
from eml_models.training.kernels import Kernels
from eml_models.training.loop import Fit, fit
from eml_models.training.recipe import Recipe
from eml_models.training.step_graph import STEPS_BEFORE_REPLAYS
from eml_models.training.step_meter import HELD_BACK, CudaClock

FIRST_STEPS = 3
"""Steps on a CPU that are not measured: the first creates the optimizer's state. On CUDA these are all steps
before both sizes of a batch are replayed as graphs; the graphs' own memory is then part of the peak."""

LATER_STEPS = 8
QUEUED_STEPS = 4
"""The most steps that wait for the device in a row of steps: enough that it never waits for the host."""

DEVICE_STEPS = 3
LEAST_BUSY = 0.01
"""The least `busy` that is reported: a step that seems to need no device time was measured badly."""


class TriedSteps:
    """Steps of a training that are tried and not kept: their load, and their pace.

    Args:
        training: the training.
        device: its device.
        step: trains a batch; always of the first images.
        validate: validates once.
        others_bytes: bytes of the device that other processes held before.
    """

    def __init__(
        self,
        training: Fit,
        *,
        device: torch.device,
        step: Callable[[], object],
        validate: Callable[[], object],
        others_bytes: int = 0,
    ) -> None:
        self._training, self._device = training, device
        self._step, self._validate, self._others_bytes = step, validate, others_bytes

    def prepare(self) -> None:
        """Train the first steps: they load kernels and are captured. Then free their extra memory."""
        for _ in range(FIRST_STEPS if self._device.type == "cpu" else STEPS_BEFORE_REPLAYS):
            self._step()
        self._validate()
        synchronize(self._device)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def load(self) -> StepLoad:
        """The load of later steps and a validation.

        Raises:
            torch.OutOfMemoryError: the device has too little memory for a step or a validation.
        """
        self.prepare()
        where, step = self._device, self._step
        if where.type != "cuda":
            total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
            return StepLoad(peak_bytes=peak_memory_bytes(where), beside_bytes=0, total_bytes=total, busy=1.0)
        torch.cuda.reset_peak_memory_stats(where)
        step_s = _measure_step_s(step, where)
        device_s = statistics.median(_measure_device_s(step, where, step_s) for _ in range(DEVICE_STEPS))
        self._validate()
        synchronize(where)
        free, total = torch.cuda.mem_get_info(where)
        return StepLoad(
            peak_bytes=torch.cuda.max_memory_reserved(where),
            beside_bytes=max(0, total - free - torch.cuda.memory_reserved(where) - self._others_bytes),
            others_bytes=self._others_bytes,
            total_bytes=total,
            busy=min(1.0, max(LEAST_BUSY, device_s / step_s)),
        )

    def train_until(self, is_over: Callable[[], bool]) -> Pace:
        """Train steps in a row until `is_over`, which is asked after each; at least one.

        Steps are queued while earlier ones run, as in a training, but no more than `QUEUED_STEPS`: else the
        device would have work for long after the end.
        """
        queued: deque[torch.cuda.Event] = deque()
        num_steps, began = 0, time.perf_counter()
        while True:
            self._step()
            num_steps += 1
            if self._device.type == "cuda":
                _wait_for_earlier(queued, self._device)
            if is_over():
                break
        synchronize(self._device)
        seconds = time.perf_counter() - began
        return Pace(images=num_steps * self._training.mean_batch_size, seconds=seconds)


@contextmanager
def tried_steps(
    recipe: Recipe,
    *,
    device: str | torch.device,
    data_dir: str | Path | None = None,
    download: bool = False,
    kernels: Kernels | str = Kernels.DEFAULT,
    execution: Execution | str = Execution.AUTO,
) -> Iterator[TriedSteps]:
    """Provides steps of a training of the recipe; their memory is held while the context is open."""
    where = torch.device(device)
    others = 0
    if where.type == "cuda" and torch.cuda.is_available():  # else `fit` says that there is no such device
        others = bytes_of_others(where) or 0
    training = fit(
        recipe, device=where, data_dir=data_dir, download=download, kernels=kernels, execution=execution
    )
    with training.tried() as (step, validate):
        yield TriedSteps(training, device=where, step=step, validate=validate, others_bytes=others)


def measure_step_load(recipe: Recipe, *, device: str | torch.device) -> StepLoad:
    """The load of a training with the choices that `fit` makes by default; see `TriedSteps.load`.

    Raises:
        torch.OutOfMemoryError: the device has too little memory for a step or a validation.
    """
    with tried_steps(recipe, device=device) as steps:
        return steps.load()


def _wait_for_earlier(queued: deque[torch.cuda.Event], device: torch.device) -> None:
    """Note that a step is queued, and wait for that of `QUEUED_STEPS` before it."""
    with torch.cuda.device(device):
        event = torch.cuda.Event()
        event.record()
    queued.append(event)
    if len(queued) > QUEUED_STEPS:
        queued.popleft().synchronize()


def _measure_step_s(step: Callable[[], object], device: torch.device) -> float:
    """Seconds per step in a row of steps; each is queued while the previous step runs."""
    step()
    synchronize(device)
    began = time.perf_counter()
    for _ in range(LATER_STEPS):
        step()
    synchronize(device)
    return (time.perf_counter() - began) / LATER_STEPS


def _measure_device_s(step: Callable[[], object], device: torch.device, step_s: float) -> float:
    """Seconds of the device's work for a step that is queued as a whole.

    An upper bound for a step of more kernels than the queue holds (1,024), and for a step that itself waits
    for the device, as fp16's loss scaling does with some optimizers: the device then waits too.
    """
    with torch.cuda.device(device):
        clock = CudaClock()
        clock.hold_back(HELD_BACK * step_s)
        start = clock.mark()
        step()
        end = clock.mark()
        end.synchronize()
    return clock.seconds(start, end)
