"""A study whose trials end in every way: completed, stopped, refused, failed, diverged; with conditions.

It trains by its own function within milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tune_jobs import Asha, Choice, Float, Integer, Maximize, Space, Study
from tune_jobs.study.parameters import When


def train(params: dict[str, Any], run: Any) -> Iterator[dict[str, object]]:
    for epoch in range(1, run.epochs + 1):
        if params["head"] == "broken" and epoch == 2:
            raise ValueError("no such head")
        if params["head"] == "wild" and epoch == 3:
            yield {"iou": float("nan"), "masks": epoch}
        run.save({"epoch": epoch})
        yield {
            "iou": params["lr"] * epoch + params.get("depth", 0) / 100,
            "masks": 10 * epoch,
            "kind": "dice",
        }


def cost(params: dict[str, Any]) -> dict[str, float]:
    return {"memory_gb": params.get("depth", 1) / 2}


def every_ending(**changes: Any) -> Study:
    words: dict[str, Any] = {
        "name": "cells",
        "space": Space(
            Float("lr", 1e-3, 1.0, log=True),
            Choice("head", ("plain", "slim", "deep", "broken", "wild")),
            Integer("depth", 1, 20, when=When("head", ("deep",))),
        ),
        "train": train,
        "objectives": (Maximize("iou"),),
        "epochs": 9,
        "trials": 24,
        "asha": Asha(min_epochs=3),
        "sampler": "random",
        "cost": cost,
        "limits": {"memory_gb": 3},
        "seed": 3,
    }
    return Study(**{**words, **changes})
