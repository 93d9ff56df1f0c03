"""A study of own training that writes down what it does, for the test that kills its workers and its driver.

Each attempt has a file in the data folder, named by its trial and its process. Its last line says where a
kill found it.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tune_jobs import Asha, Choice, Float, Maximize, Space, Study

EPOCHS, TRIALS = 8, 6
BALLAST = 500_000
"""Numbers that make a save last some milliseconds."""


def train(params: dict[str, Any], run: Any) -> Iterator[dict[str, float]]:
    """A value that depends on every epoch before, so that a wrong state shows in all that follow."""
    state = run.load() or {"epoch": 0, "weight": 0.0}
    weight = state["weight"]
    with open(Path(run.data_dir) / f"{run.number}-{os.getpid()}.txt", "a", buffering=1) as said:
        print("loads", state["epoch"], file=said)
        try:
            for epoch in range(state["epoch"] + 1, run.epochs + 1):
                print("trains", epoch, file=said)
                time.sleep(0.02)
                weight = 0.7 * weight + math.sin(run.seed % 1000 + epoch)
                run.save({"epoch": epoch, "weight": weight, "ballast": torch.zeros(BALLAST)})
                print("reports", epoch, file=said)
                yield {"iou": params["depth"] + epoch / 10 + 0.01 * weight + params["lr"]}
        finally:
            print("ends", file=said)


def study() -> Study:
    return Study(
        name="killed",
        space=Space(Float("lr", 1e-5, 1e-1, log=True), Choice("depth", (2, 3))),
        train=train,
        objectives=(Maximize("iou"),),
        epochs=EPOCHS,
        trials=TRIALS,
        asha=Asha(min_epochs=4, reduction_factor=2),
    )
