"""The command line's words as changes of a study in Python: the same study, and errors in Python's words."""

from __future__ import annotations

from typing import Any

import pytest
from own_studies import cells

from eml_models import Recipe
from eml_models.errors import InvalidValueError, UnknownNameError
from tune_jobs import Choice, Float, Limits, Space, Study
from tune_jobs.study.method import LatencyMode
from tune_jobs.study.parameters import Constant
from tune_jobs.study.words import WORDS

RESNET_MACS = 555_422_720
"""The full ResNet-18 on images of 32 px; fvcore counts the same."""


def study(**changes: Any) -> Study:
    space = Space(Float("learning_rate", 1e-3, 1.0), Choice("optimizer", ("sgd", "adam")))
    recipe = Recipe(learning_rate=0.1, epochs=9, dataset="cifar10", model="resnet18")
    return Study(name="s", space=space, recipe=recipe).with_changes(**changes)


def test_words_change_the_recipe() -> None:
    changed = study(epochs=3, dataset="digits", precision="bf16", train_samples=500)
    assert changed.recipe == study().shipped_recipe.with_changes(
        epochs=3, dataset="digits", precision="bf16", max_train_samples=500
    )


@pytest.mark.parametrize(
    ("limit", "macs"),
    [(30_000_000, 30_000_000), (30e6, 30_000_000), ("30M", 30_000_000), ("1 x resnet18", RESNET_MACS)],
)
def test_limits_are_numbers_or_amounts(limit: object, macs: int) -> None:
    assert study(max_macs=limit).limits == Limits(max_macs=macs)


def test_limits_that_no_word_names_stay() -> None:
    limited = study(limits=Limits(max_parameters=5), max_macs="1k")
    assert limited.limits == Limits(max_parameters=5, max_macs=1000)
    assert limited.with_changes(min_macs=7).limits.max_macs == 1000


def test_fix_holds_parameters() -> None:
    changed = study(fix={"optimizer": "adam"})
    assert changed.space["optimizer"] == Constant("optimizer", "adam")
    assert changed.space["learning_rate"] == study().space["learning_rate"]
    assert study(space=[Choice("momentum", (0.8, 0.9))], fix={"momentum": 0.9}).space.names == ("momentum",)


def test_latency_and_stopping() -> None:
    changed = study(measure_latency="fp32@8", max_latency_ms=2.5, no_asha=True)
    assert changed.latency == LatencyMode(mode="fp32", batch_size=8)
    assert changed.limits.max_latency_ms == 2.5
    assert changed.asha is None


def test_a_word_that_is_false_leaves_the_rungs() -> None:
    assert study(no_asha=False).asha == study().asha is not None


def test_own_training_takes_epochs_and_limits() -> None:
    changed = cells().with_changes(epochs=4, max_macs=3000)
    assert (changed.epochs, changed.limits.max_macs) == (4, 3000)


def test_none_changes_nothing() -> None:
    assert study(**dict.fromkeys(WORDS)) == study()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_macs": "many"}, "max_macs: a count is a positive whole number"),
        ({"max_macs": -1}, "max_macs must be at least 1, got -1"),
        ({"epochs": 0}, "epochs must be .*, got 0"),
        ({"fix": ["optimizer"]}, "fix must be a dict .* write such as fix={'optimizer': 'adam'}"),
        ({"fix": {"optimizer": "lion"}}, "optimizer must be one of .*, got 'lion'"),
        ({"measure_latency": "fp32@many"}, "measure_latency must be MODE@BATCH"),
        ({"no_asha": "no"}, "no_asha must be True or False, got 'no'"),
        ({"space": 7, "epochs": 3}, "space must be a Space, got 7"),
        ({"recipe": 7, "epochs": 3}, "recipe must be a Recipe"),
    ],
)
def test_wrong_words_say_what_to_write(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        study(**changes)


def test_word_that_the_space_overrules_is_refused() -> None:
    searched = study(space=[Choice("epochs", (3, 9))])
    rule = r"its space sets epochs, so epochs=5 would change nothing; hold .* with fix=\{'epochs': 5\}"
    with pytest.raises(InvalidValueError, match=rule):
        searched.with_changes(epochs=5)
    assert searched.with_changes(fix={"epochs": 3}).space["epochs"] == Constant("epochs", 3)


def test_words_of_a_recipe_do_not_suit_own_training() -> None:
    with pytest.raises(InvalidValueError, match="precision is of a recipe, and this study trains by its own"):
        cells().with_changes(precision="bf16")


def test_unknown_words_are_named_with_the_known() -> None:
    with pytest.raises(UnknownNameError, match="unknown field of a study 'max_mac'; known: max_macs"):
        study(max_mac=1)
    with pytest.raises(UnknownNameError) as refused:
        study(nothing=1)
    assert len(refused.value.known) == len(set(refused.value.known))
    with pytest.raises(UnknownNameError, match="unknown parameter 'optimiser'"):
        study(fix={"optimiser": "adam"})


def test_own_training_may_become_a_recipe() -> None:
    changed = cells().with_changes(
        train=None, cost=None, limits=None, epochs=None, objectives="val_accuracy", recipe=study().recipe,
        space=study().space,
    )  # fmt: skip
    assert changed.max_epochs == 9
