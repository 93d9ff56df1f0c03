"""Studies on a simulated GPU of 16 GiB: torch's CUDA calls are replaced for the processes of these studies.

`study` trains by a function that needs as many GiB as `batch_size` says and runs out of memory as torch does,
if the share is smaller. It reports the fraction that the worker was held to, and which device it was given.

`measured` trains by `eml_models`, really, on the CPU: what asks for the device ``cuda`` computes there. Its
memory is simulated: it grows with the batch alone. So is its pace: side by side no training slows another.

`sticky` meets an error after which all CUDA calls of the process fail, once for each trial.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

import eml_models.training.loop
from eml_models import Recipe
from eml_models.training.device_load import Pace
from eml_models.training.step_load import TriedSteps
from tune_jobs import Choice, Space, Study

TOTAL_BYTES = 16 << 30
BYTES_PER_IMAGE = 20 << 20
CONTEXT_BYTES = 600 << 20
held = SimpleNamespace(fraction=1.0, peak=0, broken=False)


def hold(fraction: float, device: object = None) -> None:
    held.fraction = fraction


def take(needed: int) -> None:
    held.peak = max(held.peak, needed)
    if needed > TOTAL_BYTES * held.fraction:
        raise torch.OutOfMemoryError(f"CUDA out of memory: {needed >> 30} GiB")


def answer() -> None:
    if held.broken:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


torch.cuda.is_available = lambda: True
torch.backends.cudnn.version = lambda: 91900
torch.cuda.get_device_name = lambda device=None: "simulated"
torch.cuda.get_device_properties = lambda device=None: SimpleNamespace(total_memory=TOTAL_BYTES)
torch.cuda.set_per_process_memory_fraction = hold
torch.cuda.max_memory_allocated = lambda device=None: held.peak
torch.cuda.max_memory_reserved = lambda device=None: held.peak
torch.cuda.memory_reserved = lambda device=None: held.peak
torch.cuda.mem_get_info = lambda device=None: (TOTAL_BYTES - CONTEXT_BYTES - held.peak, TOTAL_BYTES)
torch.cuda.empty_cache = torch.cuda.reset_peak_memory_stats = lambda device=None: vars(held).update(peak=0)
torch.cuda.is_initialized = lambda: True
torch.cuda.synchronize = lambda device=None: answer()
torch.cuda.device = lambda device: nullcontext()
torch.cuda._sleep = lambda cycles: None
torch.cuda.Event = lambda enable_timing: SimpleNamespace(
    record=answer, synchronize=answer, elapsed_time=lambda other: 1e-3
)
eml_models.training.loop.resolve_device = lambda device: torch.device("cpu")
TriedSteps.train_until = lambda self, is_over: Pace(images=1000.0, seconds=1.0)
torch.nn.modules.module.register_module_forward_pre_hook(
    lambda module, arguments: take(len(arguments[0]) * BYTES_PER_IMAGE) if module.training else None
)


def fit(recipe: Recipe, *, device: str, **options: Any) -> Iterator[SimpleNamespace]:
    assert device == "cuda"
    held.peak = 0
    take(recipe.batch_size << 30)
    visible = float(os.environ["CUDA_VISIBLE_DEVICES"])
    yield SimpleNamespace(epoch=1, val_accuracy=0.5, train_loss=held.fraction, train_accuracy=visible)


def study() -> Study:
    return Study(
        name="shared-gpu",
        space=Space(Choice("batch_size", (2, 14, 20))),
        recipe=Recipe(learning_rate=0.1, epochs=1),
        trials=3,
        sampler="grid",
        asha=None,
        fit=fit,
    )


def fit_stickily(recipe: Recipe, *, device: str, data_dir: str, **options: Any) -> Iterator[SimpleNamespace]:
    answer()  # a process that was kept would fail each trial that it is given
    mark = Path(data_dir) / f"tried-{recipe.batch_size}"
    if not mark.exists():
        mark.touch()
        held.broken = True
        answer()
    yield SimpleNamespace(epoch=1, val_accuracy=0.5)


def sticky() -> Study:
    return study().with_changes(name="sticky", fit=fit_stickily)


def measured() -> Study:
    """Its largest candidate takes 2.5 GiB a step, so with the headroom and a context four share a GPU."""
    return Study(
        name="measured-gpu",
        space=Space(Choice("batch_size", (16, 32, 64, 128))),
        recipe=Recipe(learning_rate=0.1, epochs=2),
        trials=4,
        sampler="grid",
        asha=None,
    )
