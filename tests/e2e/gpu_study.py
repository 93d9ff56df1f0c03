"""A study on a simulated GPU of 16 GiB: torch's CUDA calls are replaced, here and nowhere else.

Training needs as many GiB as `batch_size` says and runs out of memory as torch does, if the share is smaller.
It reports the fraction that the worker was held to, and which device it was given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch

from eml_models import Recipe
from tune_jobs import Choice, Space, Study

TOTAL_BYTES = 16 << 30
held = SimpleNamespace(fraction=1.0, peak=0)


def hold(fraction: float, device: object = None) -> None:
    held.fraction = fraction


torch.cuda.is_available = lambda: True
torch.cuda.get_device_name = lambda device=None: "simulated"
torch.cuda.get_device_properties = lambda device=None: SimpleNamespace(total_memory=TOTAL_BYTES)
torch.cuda.set_per_process_memory_fraction = hold
torch.cuda.max_memory_allocated = lambda device=None: held.peak


def fit(recipe: Recipe, *, device: str, **options: Any) -> Iterator[SimpleNamespace]:
    assert device == "cuda"
    held.peak = recipe.batch_size << 30
    if held.peak > TOTAL_BYTES * held.fraction:
        raise torch.OutOfMemoryError(f"CUDA out of memory: {recipe.batch_size} GiB")
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
