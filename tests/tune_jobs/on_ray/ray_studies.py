"""Studies whose training is a few lines, for tests on Ray: they behave as a parameter of the space says."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from eml_models.training.recipe import Recipe
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha, SamplerName
from tune_jobs.study.parameters import Choice, Float
from tune_jobs.study.space import Space

CRASH_FOLDER = "TUNE_JOBS_TEST_CRASH_FOLDER"


def fit_curve(recipe: Recipe, **options: Any) -> Iterator[SimpleNamespace]:
    """Accuracy rises with the epochs, more for rates near 0.1; `train_loss` tells the threads."""
    import torch

    quality = 1 - abs(recipe.learning_rate - 0.1)
    for epoch in range(1, recipe.epochs + 1):
        yield SimpleNamespace(
            epoch=epoch, val_accuracy=quality * epoch / (epoch + 1), train_loss=float(torch.get_num_threads())
        )


def fit_badly(recipe: Recipe, *, data_dir: str | None, **options: Any) -> Iterator[SimpleNamespace]:
    """What `recipe.batch_size` says: 1 raises, 2 is NaN, 3 runs out of memory, 4 crashes twice, 5 always.

    7 hangs at its first call, deaf to every signal that Python handles.
    """
    if recipe.batch_size == 1:
        raise ValueError("a layer is missing")
    if recipe.batch_size == 3:
        raise MemoryError("no room")
    if recipe.batch_size == 5 or (recipe.batch_size == 4 and _num_crashes(Path(data_dir or ".")) < 2):
        os._exit(7)
    if recipe.batch_size == 7 and _num_crashes(Path(data_dir or ".")) < 1:
        lock = threading.Lock()
        while lock.acquire():
            """The second time it waits for ever."""
    yield SimpleNamespace(epoch=1, val_accuracy=float("nan") if recipe.batch_size == 2 else 0.5)


def fit_and_print(recipe: Recipe, **options: Any) -> Iterator[SimpleNamespace]:
    """Prints in each way that there is; a batch size of 1 prints nothing, 3 raises, 4 is killed."""
    size = recipe.batch_size
    if size > 1:
        print(f"print of {size}")
        logging.getLogger("own").warning("logging of %d", size)
        warnings.warn(f"warning of {size}", stacklevel=1)
        os.system(f"echo subprocess of {size}")
        ctypes.CDLL(None).printf(b"C of %d\n", size)
    if size == 3:
        raise ValueError("a layer is missing")
    yield SimpleNamespace(epoch=1, val_accuracy=0.5)
    if size == 4:
        print(f"last words of {size}")
        os.kill(os.getpid(), signal.SIGKILL)
    yield SimpleNamespace(epoch=2, val_accuracy=0.6)


def fit_untidily(recipe: Recipe, **options: Any) -> Iterator[SimpleNamespace]:
    """Takes longer to tidy up than the 2 s that Ray Tune waits of itself."""
    try:
        yield SimpleNamespace(epoch=1, val_accuracy=0.5)
    finally:
        time.sleep(3)


def _num_crashes(folder: Path) -> int:
    """How often this was called before: a file for each call."""
    count = len(list(folder.iterdir()))
    (folder / str(count)).touch()
    return count


def curve_study(**changes: Any) -> Study:
    study = Study(
        name="curves",
        space=Space(Float("learning_rate", 1e-3, 1.0, log=True)),
        recipe=Recipe(learning_rate=0.1, epochs=9),
        trials=12,
        asha=Asha(min_epochs=1, reduction_factor=3),
        fit=fit_curve,
    )
    return study.with_changes(**changes)


def bad_study(*sizes: int, **changes: Any) -> Study:
    study = Study(
        name="bad",
        space=Space(Choice("batch_size", sizes)),
        recipe=Recipe(learning_rate=0.1, epochs=1),
        trials=len(sizes),
        sampler=SamplerName.GRID,
        asha=None,
        fit=fit_badly,
    )
    return study.with_changes(**changes)
