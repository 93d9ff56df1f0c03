"""Trains recipes on a GPU in several ways with deterministic kernels, and prints what each came to.

``python compared_on_cuda.py`` prints a line of JSON for each case: its name, and of each way the reports with
a digest of the state, how the steps were executed, and why they were eager. It is a process of its own,
because cuBLAS reads its setting at its first use.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from full_recipe import FULL

from eml_models import Fit, Recipe, fit

OPTIMIZERS = ("sgd", "sgd_momentum", "nesterov", "adam", "adamw", "rmsprop")
PRECISIONS = ("fp32", "bf16", "fp16")
DEEP = {
    "resnet18": {"model": "resnet18", "model_options": {"width": 16}},
    "mobilenet": {"model": "mobilenet", "model_options": {"width_mult": 0.25}},
}
CASES: dict[str, dict[str, Any]] = {
    **{f"{o} {p}": {"optimizer": o, "precision": p} for o in OPTIMIZERS for p in PRECISIONS},
    **{f"{m} {p}": {**options, "precision": p} for m, options in DEEP.items() for p in PRECISIONS},
}


def digest(training: Fit) -> str:
    """Of every weight, statistic and optimizer's value."""
    snapshot = training.snapshot()
    parts = [snapshot.module, snapshot.trained, *snapshot.optimizer["state"].values()]
    values = [value for part in parts for _, value in sorted(part.items())]
    found = hashlib.sha256()
    for value in values:
        found.update(torch.as_tensor(value).flatten().numpy().tobytes())
    return found.hexdigest()


def train(recipe: Recipe, execution: str, *, resumed: bool = False) -> dict[str, Any]:
    """The last two epochs; `resumed` continues a snapshot of the first in a training of its own."""
    options: dict[str, Any] = {"device": "cuda", "kernels": "deterministic", "execution": execution}
    training = fit(recipe, **options)
    next(training)
    if resumed:
        training = fit(recipe, **options, resume_from=training.snapshot())
    reports = [(r.train_loss, r.train_accuracy, r.val_loss, r.val_accuracy) for r in training]
    return {
        "result": [*reports, digest(training)],
        "execution": training.execution,
        "eager_because": training.eager_because,
    }


def main() -> None:
    for name, changes in CASES.items():
        recipe = FULL.with_changes(**changes)
        ways = {"graph": train(recipe, "auto"), "eager": train(recipe, "eager")}
        ways["resumed"] = train(recipe, "auto", resumed=True)
        print(json.dumps({"case": name, **ways}), flush=True)


if __name__ == "__main__":
    main()
