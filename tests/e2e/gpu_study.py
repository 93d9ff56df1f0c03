"""Studies on a simulated GPU of 16 GiB: torch's CUDA calls are replaced, here and nowhere else.

`study` trains by a function that needs as many GiB as `batch_size` says and runs out of memory as torch does,
if the share is smaller. It reports the fraction that the worker was held to, and which device it was given.

`measured` trains by `eml_models`, really, on the CPU: what asks for the device ``cuda`` computes there. Its
memory is simulated: it grows with the batch alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch

import eml_models.train
from eml_models import Recipe
from tune_jobs import Choice, Space, Study

TOTAL_BYTES = 16 << 30
BYTES_PER_IMAGE = 20 << 20
held = SimpleNamespace(fraction=1.0, peak=0)


def hold(fraction: float, device: object = None) -> None:
    held.fraction = fraction


def take(needed: int) -> None:
    held.peak = max(held.peak, needed)
    if needed > TOTAL_BYTES * held.fraction:
        raise torch.OutOfMemoryError(f"CUDA out of memory: {needed >> 30} GiB")


torch.cuda.is_available = lambda: True
torch.cuda.get_device_name = lambda device=None: "simulated"
torch.cuda.get_device_properties = lambda device=None: SimpleNamespace(total_memory=TOTAL_BYTES)
torch.cuda.set_per_process_memory_fraction = hold
torch.cuda.max_memory_allocated = lambda device=None: held.peak
torch.cuda.max_memory_reserved = lambda device=None: held.peak
eml_models.train.resolve_device = lambda device: torch.device("cpu")
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
