"""Small studies whose training computes nothing: odd names, texts that look like other types, short trials.

A run of one takes Ray's start only; in this process it takes milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eml_models import EpochReport, ModelFamily, Option, OptionKind, Recipe, register_model
from eml_models.networks.plan_builder import PlanBuilder
from eml_models.networks.registry import unregister_model
from tune_jobs import Asha, Choice, Float, Integer, Space, Study
from tune_jobs.study.parameters import Parameter

TAGS = ("null", "1e5", "true", "plain")


def _draw(net: PlanBuilder, *, w: int, W: int, x: float, flag: bool, tag: str) -> None:
    net.conv_bn_act("stem", w)
    net.classifier()


FAMILY = ModelFamily(
    name="toy",
    draw=_draw,
    options=(
        Option(name="w", kind=OptionKind.INTEGER, default=4, low=1, high=64, doc=""),
        Option(name="W", kind=OptionKind.INTEGER, default=4, low=1, high=64, doc=""),
        Option(name="x", kind=OptionKind.NUMBER, default=0.5, low=-9, high=9, doc=""),
        Option(name="flag", kind=OptionKind.FLAG, default=True, doc=""),
        Option(name="tag", kind=OptionKind.CHOICE, default="plain", choices=TAGS, doc=""),
    ),
)
"""The network of all of them; `registered` is for the time of a test."""


@contextmanager
def registered() -> Iterator[None]:
    """The family is known inside, and to no other test."""
    register_model(FAMILY)
    try:
        yield
    finally:
        unregister_model(FAMILY.name)


def fit(recipe: Recipe, **options: Any) -> Iterator[EpochReport]:
    """An accuracy that the recipe's seed draws, better by 0.012 with the flag."""
    drawn = random.Random(recipe.seed)
    for epoch in range(1, recipe.epochs + 1):
        accuracy = 0.80 + 0.012 * bool(recipe.model_options.get("flag")) + drawn.gauss(0, 0.01)
        yield EpochReport(
            epoch=epoch,
            train_loss=1 - accuracy,
            train_accuracy=accuracy,
            val_loss=1 - accuracy,
            val_accuracy=accuracy,
            learning_rate=0.1,
            epoch_s=0.001,
            elapsed_s=0.001 * epoch,
            samples_per_s=1.0,
            peak_memory_bytes=1,
        )


def study(name: str, *space: Parameter, epochs: int = 1, **changes: Any) -> Study:
    recipe = Recipe(model="toy", learning_rate=0.1, epochs=epochs)
    return Study(name=name, space=Space(*space), recipe=recipe, fit=fit, **{"asha": None, **changes})


def case() -> Study:
    """Two parameters whose names differ by the case of letters alone: refused."""
    return study("case", Integer("w", 1, 8), Integer("W", 1, 8), trials=3)


def csvs() -> Study:
    """Texts that CSV and JSON readers take for other types."""
    flag, tag = Choice("flag", (True, False)), Choice("tag", TAGS)
    return study("csvs", Float("x", 0, 1), flag, tag, Integer("w", 1, 8), sampler="random", trials=12)


def grid() -> Study:
    """A grid with repeats."""
    return study("grid", Choice("flag", (True, False)), Integer("repeat", 1, 4), sampler="grid", trials=8)


def short() -> Study:
    """Trials of one, three and nine epochs, with rungs at one and three."""
    asha = Asha(min_epochs=1, reduction_factor=3)
    epochs = Choice("epochs", (1, 3, 9))
    return study("short", epochs, Float("x", -1, 1), epochs=9, asha=asha, sampler="random", trials=18)
