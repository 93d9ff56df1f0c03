"""Values that a person gives in Python: plain ones are taken, others are refused at definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np
import pytest

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha, LatencyMode, Limits
from tune_jobs.study.objective import Direction, Maximize, Objective, as_objectives
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, When
from tune_jobs.study.space import Space

RATE = Float("learning_rate", 1e-4, 1.0, log=True)


class Optimizer(StrEnum):
    SGD = "sgd"
    ADAM = "adam"


def study(**changes: Any) -> Study:
    return digits_recipes().with_changes(**changes)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (lambda: Space([RATE]), Space(RATE)),
        (lambda: Space((RATE, Choice("optimizer", ("sgd",)))), Space(RATE, Choice("optimizer", ("sgd",)))),
        (lambda: study(space=[RATE]).space, Space(RATE)),
        (lambda: study(space=RATE).space, Space(RATE)),
        (lambda: study(objectives="val_accuracy").objectives, (Objective(),)),
        (
            lambda: study(objectives="val_accuracy, macs").objectives,
            (Objective(), Objective(metric="macs")),
        ),
        (lambda: study(objectives=Objective()).objectives, (Objective(),)),
        (lambda: study(objectives=["val_loss", Objective()]).objectives[0], Objective(metric="val_loss")),
        (lambda: study(limits=None).limits, Limits()),
        (lambda: study(trials=np.int64(7)).trials, 7),
        (lambda: study(trials=7.0).trials, 7),
        (lambda: Limits(max_macs=30e6).max_macs, 30_000_000),
        (lambda: Objective("val_accuracy"), Objective(metric="val_accuracy")),
        (lambda: Objective("val_loss", "minimize").direction, Direction.MINIMIZE),
        (lambda: Objective("val_accuracy", "max"), Objective()),
        (lambda: Objective("f1", "maximize"), Maximize("f1")),
        (lambda: as_objectives("iou:max, val_loss"), (Maximize("iou"), Objective("val_loss"))),
        (lambda: study(limits={"macs": 30e6}).limits, Limits(max_macs=30_000_000)),
        (lambda: Choice("x", [1, 2]), Choice("x", (1, 2))),
        (lambda: Choice("x", range(3)), Choice("x", (0, 1, 2))),
        (lambda: Choice("x", np.array([0.5, 1.0])), Choice("x", (0.5, 1.0))),
        (lambda: Choice("x", Optimizer), Choice("x", ("sgd", "adam"))),
        (lambda: When("x", [np.int64(1)]), When("x", (1,))),
        (lambda: Integer("x", np.int64(1), 8.0), Integer("x", 1, 8)),
        (lambda: Float("x", np.float32(0.5), 1), Float("x", 0.5, 1.0)),
        (lambda: Constant("x", np.float64(0.5)), Constant("x", 0.5)),
        (lambda: Constant("x", [np.int64(3), 4]), Constant("x", (3, 4))),
    ],
)
def test_what_is_plain_is_taken(given: Callable[[], object], meant: object) -> None:
    found = given()
    assert found == meant
    assert repr(found) == repr(meant)  # NumPy's numbers and members of an Enum are gone


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: study(trials="10"), "trials must be a whole number, got '10'; write it without quotes: 10"),
        (lambda: study(trials=1.5), "trials must be a whole number, got 1.5"),
        (lambda: study(trials=True), "trials must be a whole number, got True"),
        (lambda: study(seed="a"), "seed must be a whole number, got 'a'; write it as a number"),
        (
            lambda: study(space={"learning_rate": RATE}),
            "space must be a Space, got {.*; write such as space=",
        ),
        (lambda: study(space="learning_rate"), "space must be a Space, got 'learning_rate'"),
        (lambda: Space("learning_rate"), "a Float, an Integer, a Choice or a Constant, got 'learning_rate'"),
        (lambda: Space(RATE, [RATE]), "a Float, an Integer, a Choice or a Constant, got "),
        (lambda: study(objectives="f1"), "unknown objective 'f1'; known: "),
        (lambda: study(objectives=3), "objectives must be names or values of Objective, got 3; write"),
        (lambda: study(objectives={"val_loss": "min"}), "objectives must be names or values of Objective"),
        (
            lambda: study(objectives=Objective("val_loss", "maximize")),
            "val_loss of the shipped training is better if it is smaller, got maximize; leave the direction",
        ),
        (lambda: study(objectives="f1:max"), "unknown objective 'f1'; .*; other metrics need own training"),
        (lambda: study(objectives="f1:up"), "unknown direction of 'f1' 'up'; known: "),
        (lambda: Objective("val_loss", "up"), "unknown direction of 'val_loss' 'up'; known: "),
        (lambda: Objective(["val_loss"]), "the name of a metric has"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: study(recipe="resnet18"), "recipe must be a Recipe or None, .* got 'resnet18'; write"),
        (lambda: study(asha=True), "asha must be an Asha or None, which stops no trial early, got True"),
        (
            lambda: study(limits={"max_macs": 1}),
            "limits on max_macs: this belongs to own training",
        ),
        (lambda: study(limits="30M"), "limits must be a Limits, got '30M'; write such as"),
        (lambda: study(epochs="5"), "recipe: epochs must be a whole number at least 1, got '5'"),
        (lambda: study(fit=None), "fit must be a function, got None"),
        (
            lambda: study(latency="fp32"),
            "latency must be a LatencyMode or None, .* got 'fp32'; write such as",
        ),
        (lambda: study(name=3), "name must be a text, got 3"),
        (lambda: study(name=3, trials="1"), "2 problems"),
        (lambda: Asha(min_epochs="1"), "min_epochs must be a whole number, got '1'; write it without quotes"),  # type: ignore[arg-type]  # wrong on purpose
        (
            lambda: Limits(max_macs="30M"),
            "max_macs must be a whole number or None, got '30M'; write it as a whole number: 30000000",
        ),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: LatencyMode(batch_size="1"), "batch_size must be a whole number, got '1'"),  # type: ignore[arg-type]  # wrong on purpose
        (
            lambda: Choice("optimizer", "sgd"),
            r"values must be a list or a tuple, got 'sgd'; write \('sgd',\)",
        ),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Choice("x", 3), r"values must be a list or a tuple, got 3; write \(3,\)"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Choice("x", {"a", "b"}), "values must be a list or a tuple, got {.*; write them in order"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Choice("x", {"a": 1}), "values must be a list or a tuple, got {'a': 1}"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Choice("x", ([1, 2], [3])), r"got \[1, 2\]; a list option .* searched by its parts"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Choice("x", ((1, 2), (3, 4))), r"got \(1, 2\); a list option .* searched by its parts"),  # type: ignore[arg-type]  # wrong on purpose
        (
            lambda: Choice("x", (math.nan, 1.0)),
            "a value is a text, a finite number, .* got nan; leave it out",
        ),
        (lambda: Choice("x", (math.inf, 1.0)), "got inf; leave it out"),
        (
            lambda: Choice("max_grad_norm", (None, 1.0)),
            r"got None; for None take .*\(1e9 for max_grad_norm\)",
        ),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Choice("x", (len,)), "got <built-in function len>; give each value a name"),  # type: ignore[arg-type]  # wrong on purpose
        (
            lambda: Choice("x", ("sgd",), when="adam"),
            "when must be a When or None, got 'adam'; write such as when=",
        ),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Choice(3, (1, 2)), "name must be a text, got 3"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Constant("x", None), "got None; for None take a value"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Constant("x", math.nan), "got nan; leave it out"),
        (lambda: Constant("x", (1, None)), "got None"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: When("x", 3), r"values must be a list or a tuple, got 3; write \(3,\)"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: When("x", ()), "at least one value is needed, got none"),
        (lambda: Float("x", "0.1", 1.0), "low must be a number, got '0.1'; write it without quotes: 0.1"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Float("x", 0.1, None), "high must be a number, got None"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Float("x", 0.1, 1.0, step=math.nan), "step must be a finite number above 0, got nan"),
        (lambda: Float("x", 0.1, 1.0, step=math.inf), "step must be a finite number above 0, got inf"),
        (lambda: Float("x", 0.1, 1.0, step="0.1"), "step must be a number or None, got '0.1'"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Float("x", 0.1, 1.0, log="yes"), "log must be True or False, got 'yes'"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Float("x", 10**400, 1.0), "bounds must be finite"),
        (lambda: Float("x", -1.7e308, 1.7e308), "bounds must be less than 1.8e308 apart, got .*; narrow"),
        (lambda: Integer("x", 1, 10**400), "bounds and step must fit in 64 bits, got .*; narrow the range"),
        (lambda: Integer("x", 1, math.nan), "high must be a whole number, got nan"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: Integer("x", 1, 4, step=math.nan), "step must be a whole number, got nan"),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_what_is_not_plain_is_refused_with_the_rule_and_a_way_out(
    given: Callable[[], object], words: str
) -> None:
    with pytest.raises(InvalidValueError, match=words):
        given()


@pytest.mark.parametrize("low", [1e-3, 0.1, 7.3, 1e-300])
def test_logarithmic_range_whose_bounds_have_one_logarithm_is_refused(low: float) -> None:
    high = math.nextafter(low, math.inf)
    with pytest.raises(InvalidValueError, match=r"must have different logarithms, got .*; widen the range"):
        Float("x", low, high, log=True)
    assert Float("x", low, low, log=True).grid() == (low,)
    assert Float("x", low, high).high == high


def test_study_of_lists_and_names_has_the_definition_of_the_study_of_values() -> None:
    recipe = Recipe(learning_rate=0.1, epochs=2)
    by_words = Study(name="s", space=[RATE], recipe=recipe, objectives="val_accuracy", trials=3)  # type: ignore[arg-type]  # taken all the same
    by_values = Study(name="s", space=Space(RATE), recipe=recipe, objectives=(Objective(),), trials=3)
    assert by_words == by_values
    assert by_words.fingerprint() == by_values.fingerprint()
