"""A study of random images for `speed`: short trials of a MobileNet of 29 M MACs, without a file of data.

Importing this registers the data sets, so that each worker of a study knows them.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.gpu.train import register_synthetic
from eml_models import Recipe

TINY = os.environ.get("SPEED_TINY") == "1"
NUM_TRIALS = 2 if TINY else 8
NUM_EPOCHS = 1 if TINY else 2
BATCH_SIZE = 32 if TINY else 256
"""256 divides the 20,480 images that are left for training: every step has one shape."""

WIDTH = 0.1 if TINY else 0.525

register_synthetic("cpu" if TINY else "cuda")


def recipe(model: str, **changes: Any) -> Recipe:
    """The recipe of one network, equal for all ways to train it."""
    grey = model == "small_cnn"
    options = {"mobilenet": {"width_mult": WIDTH}, "resnet18": {"width": 8} if TINY else {}}
    return Recipe(
        model=model,
        model_options=options.get(model, {}),
        dataset="synthetic_grey" if grey else "synthetic_colour",
        optimizer="nesterov",
        learning_rate=0.05,
        epochs=NUM_EPOCHS + 1,
        batch_size=BATCH_SIZE,
        precision="fp32" if TINY else "bf16",
        augmentation="crop" if grey else "crop_flip",
    ).with_changes(**changes)


def study() -> Any:
    """Trials that differ in their learning rate and are never stopped."""
    from tune_jobs import Float, Study
    from tune_jobs.study.space import Space

    return Study(
        name="speed",
        space=Space(Float("learning_rate", 0.01, 0.1, log=True)),
        recipe=recipe("mobilenet", epochs=NUM_EPOCHS),
        trials=NUM_TRIALS,
        asha=None,
    )
