"""A space in words: what is searched, under which condition, and what is fixed."""

from __future__ import annotations

import pytest

from eml_models import Recipe
from tune_jobs import Maximize
from tune_jobs.inputs.shipped import digits_families, digits_mobilenet, digits_recipes
from tune_jobs.report.space_words import fixed_values, searched_table, values_in_words
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, When
from tune_jobs.study.space import Space


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (Float("rate", 1e-4, 1.0, log=True), "0.0001 to 1 on a logarithmic scale"),
        (Float("rate", 0.1, 0.123456789), "0.1 to 0.123456789"),
        (Float("rate", 0.0, 1.0, step=0.25), "0 to 1 in steps of 0.25"),
        (Integer("width", 1, 64), "1 to 64"),
        (Integer("width", 8, 1024, step=8), "8 to 1024 in steps of 8"),
        (Integer("width", 8, 1024, log=True), "8 to 1024 on a logarithmic scale"),
        (Choice("optimizer", ("sgd", "adam", "adamw")), "sgd, adam or adamw"),
        (Choice("width", tuple(range(100))), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 or 88 others"),
        (Integer("repeat", 1, 3), "1 to 3; runs of each recipe with other seeds"),
    ],
)
def test_values_of_a_parameter(parameter: Parameter, words: str) -> None:
    assert values_in_words(parameter) == words


def test_condition_stands_beside_the_values() -> None:
    rows = {row[0]: row for row in searched_table(digits_recipes()).rows}
    assert rows["momentum"] == ("momentum", "0.5 to 0.99", "optimizer is sgd_momentum")
    assert rows["schedule"][2] == ""


def test_numbered_parameters_with_equal_values_share_a_row() -> None:
    rows = {row[0]: row[1] for row in searched_table(digits_mobilenet()).rows}
    assert rows["width_1 to width_7"] == "0.5 to 2 on a logarithmic scale"
    assert rows["expansion_2 to expansion_7"] == "1 to 8"
    space = Space(Integer("depth_1", 1, 2), Integer("depth_2", 1, 3), Integer("depth_3", 1, 3))
    study = digits_mobilenet().with_changes(space=space)
    assert [row[0] for row in searched_table(study).rows] == ["depth_1", "depth_2 to depth_3"]


def test_parameters_that_a_fixed_value_rules_out_are_left_out() -> None:
    study = digits_families()
    one = study.with_changes(space=study.space.fixed({"model": "resnet18"}))
    assert [row[0] for row in searched_table(one).rows] == ["macs_share", "learning_rate", "weight_decay"]
    assert "applies if" not in searched_table(one).columns
    assert fixed_values(one)[0] == "model resnet18"
    assert not any("expansion" in words for words in fixed_values(one))


def test_fixed_values_are_constants_and_fields_that_matter() -> None:
    space = Space(
        Choice("optimizer", ("sgd", "adam")),
        Constant("depth_1", 1),
        Constant("depth_2", 1),
        Constant("momentum", 0.5, when=When("optimizer", ("sgd",))),
    )
    recipe = Recipe(learning_rate=0.1, epochs=3, model_options={"dropout": 0.25}, label_smoothing=0.1)
    words = fixed_values(Study(name="a", space=space, recipe=recipe))
    assert words[:2] == ["depth_1 to depth_2 1", "momentum 0.5"]
    assert {"model small_cnn", "epochs 3", "dropout 0.25", "label_smoothing 0.1"} <= {*words}
    assert not any(word.startswith(("seed", "cutout", "optimizer")) for word in words)


def test_own_training_is_named_in_place_of_a_recipe() -> None:
    space = Space(Float("lr", 0.1, 1.0), Constant("depth", 3), Choice("epochs", (1, 2)))
    study = Study(name="own", space=space, train=train, epochs=9, objectives=(Maximize("iou"),))
    assert fixed_values(study) == ["depth 3", "training by train", "epochs 9"]
    assert [row[0] for row in searched_table(study).rows] == ["lr", "epochs"]


def train(params: dict[str, object], run: object) -> dict[str, float]:
    return {"iou": 1.0}
