"""What training a recipe takes of a device's memory, measured by a few of its steps.

For who shares a device among trainings. What it measures is of the recipe as it is: a larger batch or network
takes more, and a later epoch may find another algorithm in cuDNN.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from eml_models.device_state import peak_memory_bytes
from eml_models.recipe import Recipe
from eml_models.train import fit


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMemory:
    """Bytes of a device.

    Attributes:
        peak_bytes: on CUDA the most that torch held, data set and free blocks included; on the CPU the most
            that the process ever held.
        total_bytes: what the device has.
    """

    peak_bytes: int
    total_bytes: int


def measure_step_memory(
    recipe: Recipe, *, device: str | torch.device, data_dir: str | Path | None = None, download: bool = False
) -> StepMemory:
    """Train two steps, so that the optimizer has its state, and validate once.

    Raises:
        torch.OutOfMemoryError: the device cannot hold even that.
    """
    training = fit(recipe, device=device, data_dir=data_dir, download=download)
    training.try_steps()
    if torch.device(device).type == "cuda":
        total = torch.cuda.get_device_properties(training.device).total_memory
        return StepMemory(peak_bytes=torch.cuda.max_memory_reserved(training.device), total_bytes=total)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return StepMemory(peak_bytes=peak_memory_bytes(training.device), total_bytes=total)
