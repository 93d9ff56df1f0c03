"""Studies of own training: what belongs together, names that are free, and errors at definition."""

from __future__ import annotations

from typing import Any

import pytest

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs import Choice, Float, Integer, Maximize, Minimize, Objective, Space, Study
from tune_jobs.study.own_training import OwnRecipe


def train(params: dict[str, Any], run: Any) -> dict[str, float]:
    return {"iou": 0.5}


def a_study(**changes: Any) -> Study:
    words: dict[str, Any] = {
        "name": "own",
        "space": Space(Float("lr", 0.1, 1.0)),
        "train": train,
        "objectives": (Maximize("iou"),),
        "epochs": 5,
    }
    return Study(**{**words, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": None}, "has a recipe (recipe=) or its own training function (train=), got neither"),
        ({"recipe": Recipe(learning_rate=0.1, epochs=1)}, "got both"),
        ({"epochs": None}, "epochs must be the number of reports after which a trial is complete"),
        ({"epochs": 0}, "at least 1, got 0"),
        ({"train": 3}, "train must be a function of params and run, got 3"),
        ({"cost": 3}, "cost must be a function of params, got 3"),
        (
            {"train": lambda params: {"iou": 1.0}},
            "params and run, so write it as def train(params, run), got <lambda>(params)",
        ),
        (
            {"cost": lambda params, shape: {"macs": 1}},
            "cost is called with params, so write it as def cost(params), got <lambda>(params, shape)",
        ),
        ({"limits": {"macs": 5}}, "limits (max_macs) need cost=, a function of params"),
        ({"limits": {"macs": "5"}, "cost": len}, "macs must be a finite number, the most, or a pair"),
        (
            {"limits": {"gb": (3, 1)}, "cost": len},
            "gb must be a finite number, the most, or a pair",
        ),
        (
            {"objectives": (Minimize("gb"),), "limits": {"gb": 8}, "cost": len},
            "each objective (gb) is a cost, which is known before the training; add a metric",
        ),
        (
            {"objectives": (Minimize("macs"), Minimize("gb")), "limits": {"macs": 8, "gb": 1}, "cost": len},
            "each objective (macs, gb) is a cost",
        ),
        ({"objectives": (Maximize("iou"), Minimize("IoU"))}, "must differ (SQL ignores the case of letters)"),
    ],
)
def test_what_does_not_belong_together_is_said_at_definition(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        a_study(**changes)
    assert words in str(error.value)


def test_a_recipe_has_its_own_epochs_and_costs() -> None:
    with pytest.raises(InvalidValueError, match="epochs: this belongs to own training"):
        Study(
            name="x",
            space=Space(Float("learning_rate", 0.1, 1.0)),
            recipe=Recipe(learning_rate=0.1, epochs=1),
            epochs=3,
        )


@pytest.mark.parametrize("name", ["epochs", "seed", "momentum", "depth", "candidate", "macs_share", "model"])
def test_a_parameter_of_any_name_is_only_a_param(name: str) -> None:
    study = a_study(space=Space(Integer(name, 1, 3)))
    recipe = study.own_recipe_for({name: 2}, 0)
    assert recipe.params == {name: 2}
    assert (recipe.epochs, study.max_epochs, study.epochs_for({name: 2})) == (5, 5, 5)


def test_momentum_may_be_text() -> None:
    assert a_study(space=Space(Choice("momentum", ("heavy", "light")))).own_recipe_for(
        {"momentum": "light"}, 1
    ).params == {"momentum": "light"}


def test_each_trial_has_a_seed_of_its_own() -> None:
    study = a_study()
    seeds = {study.own_recipe_for({"lr": 0.5}, number).seed for number in range(20)}
    assert len(seeds) == 20


def test_a_recipe_survives_its_text() -> None:
    recipe = OwnRecipe(params={"widths": (1, 2), "lr": 0.1}, epochs=3, seed=2**62)
    assert OwnRecipe.from_json(recipe.to_json()) == recipe


def test_the_definition_knows_names_and_not_code() -> None:
    definition = a_study().definition()
    assert (definition["fit"], definition["train"], definition["epochs"]) == ("train", "train", 5)
    assert definition["recipe"] is None
    assert definition["objectives"] == [{"metric": "iou", "direction": "maximize"}]


def test_a_shipped_training_knows_its_metrics() -> None:
    def shipped(objective: Objective) -> Study:
        return Study(
            name="x",
            space=Space(Float("learning_rate", 0.1, 1.0)),
            recipe=Recipe(learning_rate=0.1, epochs=1),
            objectives=(objective,),
        )

    with pytest.raises(InvalidValueError, match="other metrics need own training"):
        shipped(Maximize("val_acuracy"))
    with pytest.raises(InvalidValueError, match="is better if it is larger, got minimize"):
        shipped(Minimize("val_accuracy"))
    with pytest.raises(InvalidValueError, match=r"needs a direction, as in Maximize\('iou'\)"):
        Objective("iou")
    assert shipped(Maximize("val_accuracy")) == shipped(Objective())


def test_what_needs_a_recipe_says_so() -> None:
    with pytest.raises(InvalidValueError, match="trains by its own function train, so it has no recipe"):
        _ = a_study().shipped_recipe
