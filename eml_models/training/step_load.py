"""What training a recipe takes of a device, measured by a few of its steps: memory, and the device's time.

For who shares a device among trainings. What it measures is of the recipe as it is: a larger batch or network
takes more. It leaves out what only the first steps take (the search for kernels, where one is asked for), and
what a saved checkpoint takes on the host.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from eml_models.training.device_state import peak_memory_bytes, synchronize
from eml_models.training.kernels import Kernels
from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe

FIRST_STEPS = 3
"""The optimizer's state is made in the first, kernels are loaded in all of them."""

LATER_STEPS = 8
DEVICE_STEPS = 3
CLOCK_HZ = 2e9
"""At least a card's clock: `torch.cuda._sleep` counts its cycles."""

LEAST_BUSY = 0.01
"""A step that takes no time of the device was not measured well."""

HELD_BACK = 3.0
"""How many times a step's own duration the device is held back, so that the whole step waits in its queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLoad:
    """What the training takes of a device.

    Attributes:
        peak_bytes: on CUDA the most that torch held in later steps and a validation, data set and free blocks
            included; on the CPU the most that the process ever held.
        beside_bytes: on CUDA what is taken of the device beside that: this process's context and loaded
            kernels, and whatever other processes hold; 0 on a CPU.
        total_bytes: what the device has.
        busy: the share of a step's duration for which the device computes, in (0, 1]; the rest it waits for
            this process. 1 on a CPU.
    """

    peak_bytes: int
    beside_bytes: int
    total_bytes: int
    busy: float


def measure_step_load(
    recipe: Recipe,
    *,
    device: str | torch.device,
    data_dir: str | Path | None = None,
    download: bool = False,
    kernels: Kernels | str = Kernels.DEFAULT,
) -> StepLoad:
    """Train some steps and validate; measure the steps after the first ones.

    Raises:
        torch.OutOfMemoryError: the device cannot hold even that.
    """
    where = torch.device(device)
    training = fit(recipe, device=where, data_dir=data_dir, download=download, kernels=kernels)
    with training.tried() as (step, validate):
        for _ in range(FIRST_STEPS):
            step()
        validate()
        if where.type != "cuda":
            total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
            return StepLoad(peak_bytes=peak_memory_bytes(where), beside_bytes=0, total_bytes=total, busy=1.0)
        synchronize(where)
        torch.cuda.empty_cache()  # what only the first steps took
        torch.cuda.reset_peak_memory_stats(where)
        step_s = _measure_step_s(step, where)
        device_s = statistics.median(_measure_device_s(step, where, step_s) for _ in range(DEVICE_STEPS))
        validate()
        synchronize(where)
    free, total = torch.cuda.mem_get_info(where)
    return StepLoad(
        peak_bytes=torch.cuda.max_memory_reserved(where),
        beside_bytes=max(0, total - free - torch.cuda.memory_reserved(where)),
        total_bytes=total,
        busy=min(1.0, max(LEAST_BUSY, device_s / step_s)),
    )


def _measure_step_s(step: Callable[[], object], device: torch.device) -> float:
    """Seconds of a step among others, each enqueued while the one before it runs."""
    step()
    synchronize(device)
    began = time.perf_counter()
    for _ in range(LATER_STEPS):
        step()
    synchronize(device)
    return (time.perf_counter() - began) / LATER_STEPS


def _measure_device_s(step: Callable[[], object], device: torch.device, step_s: float) -> float:
    """Seconds that the device computes for a step which waits in its queue as a whole.

    An upper bound for a step of more kernels than the queue holds (1,024), and for a step that waits for the
    device midway (loss scaling in fp16 does, with some optimizers): the device then waits as well.
    """
    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(int(HELD_BACK * step_s * CLOCK_HZ))
        start.record()
        step()
        end.record()
        end.synchronize()
    return float(start.elapsed_time(end)) / 1e3
