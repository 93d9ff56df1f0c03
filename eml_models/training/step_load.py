"""Measures the load of a training on its device in a few steps: memory, and the share of the device's time.

Called where several trainings share a device. The result is for exactly this recipe: a larger batch or
network needs more. Not included: the extra needs of the first steps (a search for kernels, if there is one),
and the memory of a saved checkpoint on the host.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from eml_models.training.device_state import bytes_of_others, peak_memory_bytes, synchronize
from eml_models.training.execution import Execution
from eml_models.training.kernels import Kernels
from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe
from eml_models.training.step_graph import STEPS_BEFORE_REPLAYS
from eml_models.training.step_meter import HELD_BACK, CudaClock

FIRST_STEPS = 3
"""Steps on a CPU that are not measured: the first creates the optimizer's state. On CUDA these are all steps
before both sizes of a batch are replayed as graphs; the graphs' own memory is then part of the peak."""

LATER_STEPS = 8
DEVICE_STEPS = 3
LEAST_BUSY = 0.01
"""The least `busy` that is reported: a step that seems to need no device time was measured badly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLoad:
    """The load of a training on its device.

    Attributes:
        peak_bytes: on CUDA, the most that torch held in later steps and a validation, including the data set
            and free blocks; on a CPU, the most that the process ever held.
        beside_bytes: on CUDA, other memory in use on the device: the context and loaded kernels of this
            process; 0 on a CPU.
        others_bytes: bytes that other processes held before, which trainings cannot have; 0 on a CPU.
        total_bytes: the memory of the device.
        busy: share of a step's duration in which the device computes, in (0, 1]; in the rest it waits for
            this process. 1 on a CPU.
    """

    peak_bytes: int
    beside_bytes: int
    total_bytes: int
    busy: float
    others_bytes: int = 0


def measure_step_load(
    recipe: Recipe,
    *,
    device: str | torch.device,
    data_dir: str | Path | None = None,
    download: bool = False,
    kernels: Kernels | str = Kernels.DEFAULT,
    execution: Execution | str = Execution.AUTO,
) -> StepLoad:
    """Train some steps and validate; measure later steps, after those that load kernels and are captured.

    Raises:
        torch.OutOfMemoryError: the device has too little memory for a step or a validation.
    """
    where = torch.device(device)
    others = 0
    if where.type == "cuda" and torch.cuda.is_available():  # else `fit` says that there is no such device
        others = bytes_of_others(where) or 0
    training = fit(
        recipe, device=where, data_dir=data_dir, download=download, kernels=kernels, execution=execution
    )
    with training.tried() as (step, validate):
        for _ in range(FIRST_STEPS if where.type == "cpu" else STEPS_BEFORE_REPLAYS):
            step()
        validate()
        if where.type != "cuda":
            total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
            return StepLoad(peak_bytes=peak_memory_bytes(where), beside_bytes=0, total_bytes=total, busy=1.0)
        synchronize(where)
        torch.cuda.empty_cache()  # frees the extra memory of the first steps
        torch.cuda.reset_peak_memory_stats(where)
        step_s = _measure_step_s(step, where)
        device_s = statistics.median(_measure_device_s(step, where, step_s) for _ in range(DEVICE_STEPS))
        validate()
        synchronize(where)
    free, total = torch.cuda.mem_get_info(where)
    return StepLoad(
        peak_bytes=torch.cuda.max_memory_reserved(where),
        beside_bytes=max(0, total - free - torch.cuda.memory_reserved(where) - others),
        others_bytes=others,
        total_bytes=total,
        busy=min(1.0, max(LEAST_BUSY, device_s / step_s)),
    )


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
