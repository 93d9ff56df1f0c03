"""What identifies a study, and the way back from it."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest
from two_objectives import two_objectives

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.training.recipe import Recipe
from tune_jobs.feasible.drawing import iter_drawn
from tune_jobs.inputs.shipped import digits_mobilenet, digits_recipes
from tune_jobs.study import definition
from tune_jobs.study.definition import Study
from tune_jobs.study.differences import differences
from tune_jobs.study.method import LatencyMode, Limits
from tune_jobs.study.naming import name_problems, suggest_name
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter
from tune_jobs.study.space import Space
from tune_jobs.study.stored import study_from_definition


def with_recipe(**changes: object) -> Study:
    study = digits_recipes()
    return study.with_changes(recipe=study.recipe.with_changes(**changes))


def test_fingerprint_of_a_shipped_study_is_pinned() -> None:
    assert digits_recipes().fingerprint() == "b1b1c43c1678c9d4"


def test_each_field_of_the_recipe_counts() -> None:
    before, after = digits_recipes(), with_recipe(ema_decay=0.99, cutout=0.25)
    assert differences(before.definition(), after.definition()) == [
        "recipe.cutout: was 0.0, is now 0.25",
        "recipe.ema_decay: was None, is now 0.99",
    ]
    assert before.fingerprint() != after.fingerprint()
    assert with_recipe(ema_decay=None, cutout=0.0).fingerprint() == before.fingerprint()


def test_data_of_files_counts_by_its_fingerprint_and_not_by_its_name() -> None:
    names = [f"{short}@{digits * 16}.3x8x8.5" for short, digits in (("a", "0a"), ("b", "0a"), ("a", "0b"))]
    first, moved, other = (with_recipe(dataset=name).fingerprint() for name in names)
    assert first == moved != other
    stored = study_from_definition("digits-recipes", with_recipe(dataset=names[0]).definition())
    assert stored.shipped_recipe.dataset == names[0]


def test_place_of_files_is_no_value_of_a_space() -> None:
    space = Space(Choice("dataset", ("digits", "arrays:a.npz")), Float("learning_rate", 0.1, 1.0))
    with pytest.raises(InvalidValueError, match=r"has the place 'arrays:a.npz', .*\.spec\.name"):
        digits_recipes().with_changes(space=space)


def test_definition_holds_every_field_also_where_there_is_none() -> None:
    definition = digits_recipes().definition()
    limits = {"max_macs", "min_macs", "max_parameters", "max_latency_ms"}
    assert limits <= dict(definition["limits"]).keys()  # type: ignore[call-overload]  # plain data
    assert (definition["candidates"], definition["latency"]) == ([], None)


def test_study_comes_back_from_its_definition() -> None:
    for study in (digits_recipes(), with_recipe(ema_decay=0.99)):
        again = study_from_definition(study.name, study.definition())
        assert again.recipe == study.recipe
        assert again.fingerprint() == study.fingerprint()


def test_options_of_networks_and_recipes_can_be_searched() -> None:
    kernels = [Choice(f"kernel_{stage}", (3, 5)) for stage in range(1, 8)]
    study = digits_mobilenet().with_changes(
        space=Space(*kernels, Float("se_ratio", 0.1, 0.5), Float("ema_decay", 0.9, 0.999))
    )
    params = {f"kernel_{stage}": 5 if stage == 3 else 3 for stage in range(1, 8)}
    recipe = study.recipe_for({**params, "se_ratio": 0.25, "ema_decay": 0.99}, 0)
    assert recipe.model_options["kernels"] == (3, 3, 5, 3, 3, 3, 3)
    assert (recipe.model_options["se_ratio"], recipe.ema_decay) == (0.25, 0.99)


def test_even_kernel_in_a_space_is_refused_with_the_rule() -> None:
    study = digits_mobilenet().with_changes(
        space=Space(*(Choice(f"kernel_{stage}", (3, 4)) for stage in range(1, 8)))
    )
    with pytest.raises(
        InvalidValueError, match=r"'kernels' must be a list of 7 whole numbers in \[1, 7\], odd"
    ):
        study.recipe_for({f"kernel_{stage}": 4 for stage in range(1, 8)}, 0)


@pytest.mark.parametrize("parameter", [Integer("seed", 0, 4), Constant("seed", 3)])
def test_seed_cannot_be_a_parameter_and_the_error_says_what_can(parameter: Parameter) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Study(name="x", space=Space(parameter), recipe=Recipe(learning_rate=0.1, epochs=2))
    assert str(caught.value) == (
        "study 'x': 'seed' cannot be a parameter: every trial has a seed of its own; for N runs of each"
        ' recipe take Integer("repeat", 1, N)'
    )


@pytest.mark.parametrize(
    ("epochs", "longest", "rungs"),
    [
        (Choice("epochs", (1, 3, 27)), 27, (1, 3, 9)),
        (Choice("epochs", (2, 3)), 3, (1,)),
        (Integer("epochs", 1, 5), 5, (1, 3)),
        (Constant("epochs", 4), 4, (1, 3)),
        (Choice("optimizer", ("sgd", "adam")), 9, (1, 3)),
    ],
)
def test_rungs_lie_below_the_longest_trials(epochs: Parameter, longest: int, rungs: tuple[int, ...]) -> None:
    recipe = Recipe(learning_rate=0.1, epochs=9)
    study = Study(name="x", space=Space(epochs), recipe=recipe)
    assert (study.max_epochs, study.rungs) == (longest, rungs)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Digits", "got 'Digits'; for example 'digits'"),
        ("7 nets!", "got '7 nets!'; for example 'study-7-nets'"),
        ("\u00e9t\u00e9", "for example"),
        ("", "for example 'study'"),
        ("a/b", "for example 'a-b'"),
        ("x" * 101, "has at most 100 characters, got 101; shorten it"),
    ],
)
def test_a_wrong_name_is_refused_with_a_right_one(name: str, problem: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        digits_recipes().with_changes(name=name)
    assert problem in str(refused.value)
    assert name_problems(suggest_name(name)[:100]) == []


def test_all_problems_of_a_study_are_shown_together() -> None:
    with pytest.raises(InvalidValueError) as refused:
        digits_recipes().with_changes(
            trials=0, objectives=(Objective(), Objective(metric="latency_ms"), Objective())
        )
    assert str(refused.value).splitlines() == [
        "study 'digits-recipes': 3 problems",
        "  - trials must be at least 1, got 0",
        "  - objectives must differ (SQL ignores the case of letters), got val_accuracy, latency_ms,"
        " val_accuracy",
        "  - latency as an objective or a limit needs a mode to measure it in; give --measure-latency",
    ]


def test_trials_have_seeds_that_follow_from_the_study_and_the_number() -> None:
    study = digits_recipes()
    params = next(iter_drawn(study, 1, role="test"))
    seeds = [study.recipe_for(params, number).seed for number in (0, 1, 0)]
    assert seeds[0] == seeds[2] != seeds[1]
    assert study.with_changes(seed=1).recipe_for(params, 0).seed != seeds[0]


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (("macs", "val_accuracy"), "the first objective must be a result of training"),
        (("val_accuracy", "val_accuracy"), "letters\\), got val_accuracy, val_accuracy"),
        ((), "at least one objective, got none"),
    ],
)
def test_wrong_objectives(metrics: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        two_objectives().with_changes(objectives=tuple(Objective(metric=m) for m in metrics))


def test_latency_needs_a_mode() -> None:
    with pytest.raises(InvalidValueError, match="give --measure-latency"):
        two_objectives(limits=Limits(max_latency_ms=2.0))
    with pytest.raises(InvalidValueError, match="unknown part 'fp12'"):
        LatencyMode(mode="fp12")


def test_change_of_no_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown field of a study 'trial'; known: trials"):
        digits_recipes().with_changes(trial=3)


def test_types_that_a_person_may_give_are_stated_for_each_field() -> None:
    (study,) = [
        node
        for node in ast.parse(Path(definition.__file__).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "Study"
    ]
    (stated,) = [
        node for node in ast.walk(study) if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    ]
    assert [argument.arg for argument in stated.args.kwonlyargs] == [f.name for f in fields(Study)]
