"""Tables of trials as people read them: what rows share is said once, networks in words that read back."""

from __future__ import annotations

import json
import shlex

import pandas as pd
import pytest

from eml_models.networks.registry import build_plan
from eml_models.networks.words import parse_network
from eml_models.training.recipe import Recipe
from tune_jobs.feasible.macs_share import resolve_recipe
from tune_jobs.inputs.shipped import digits_families, digits_recipes
from tune_jobs.report.for_people import for_people, name_networks
from tune_jobs.report.leaderboard import leaderboard
from tune_jobs.search.history import History
from tune_jobs.search.sampler import Random
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import Objective


def frames(study: Study, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and starts of a study as a store gives them; macs is the number, to be different."""
    sampler, history = Random(study), History(study)
    params = [sampler.propose(history, number) for number in range(count)]
    recipes = [resolve_recipe(study, point, number) for number, point in enumerate(params)]
    trials = pd.DataFrame(
        {
            "number": range(count),
            "seq": range(count),
            "state": "completed",
            "objective": 0.5,
            "epochs": 9,
            "train_s": 1.0,
            "macs": range(count),
            "params": [json.dumps(point) for point in params],
        }
    )
    starts = pd.DataFrame({"number": range(count), "recipe": [recipe.to_json() for recipe in recipes]})
    return trials, starts


def test_params_that_are_the_same_are_said_once_and_one_network_too() -> None:
    study = digits_recipes()
    study = study.with_changes(space=study.space.fixed({"batch_size": 64, "weight_decay": 0.001}))
    trials, starts = frames(study, 6)
    table = for_people(leaderboard(trials, starts, objective=Objective("val_accuracy")), trials)
    assert table.note == "the same in all: weight_decay=0.001 batch_size=64 network=small_cnn"
    assert table.columns[-1] == "params"
    assert all(str(row[-1]).startswith("optimizer=") for row in table.rows)
    assert not any("batch_size" in str(row[-1]) for row in table.rows)
    momentum = [
        ("optimizer=sgd_momentum" in str(row[-1])) == ("momentum=0" in str(row[-1])) for row in table.rows
    ]
    assert all(momentum)


def test_networks_stand_in_words_and_their_params_are_not_said_twice() -> None:
    study = digits_families()
    trials, starts = frames(study, 10)
    whole = leaderboard(trials, starts, objective=Objective("val_accuracy"))
    table = for_people(whole, trials)
    assert {str(row[-1]).strip("'").split(":")[0] for row in table.rows} == {"resnet18", "mobilenet"}
    for row in table.rows:
        assert [word.split("=")[0] for word in str(row[-2]).split()] == [
            "macs_share",
            "learning_rate",
            "weight_decay",
        ]
        recipe = Recipe.from_json(starts["recipe"][row[0]])
        (words,) = shlex.split(str(row[-1]))
        read = parse_network(words)
        again = build_plan(read.model, input_shape=(1, 8, 8), num_classes=10, **read.options)
        trained = build_plan(recipe.model, input_shape=(1, 8, 8), num_classes=10, **recipe.model_options)
        assert again.nodes == trained.nodes
    for row in whole.rows:  # for programs they stand as they are, with every digit
        assert row[-2] == trials["params"][row[0]]


def test_a_single_row_keeps_all_of_its_params() -> None:
    trials, starts = frames(digits_recipes(), 1)
    table = for_people(leaderboard(trials, starts, objective=Objective("val_accuracy")), trials)
    assert table.note == ""
    assert "batch_size=" in str(table.rows[0][-2])
    assert table.rows[0][-1] == "small_cnn"


@pytest.mark.parametrize("field", ["model", "dataset"])
def test_networks_of_unloaded_code_are_named_exactly(field: str) -> None:
    data = {"model": "mobilenet", "dataset": "digits", "model_options": {"width_mult": 0.123456789}}
    starts = pd.DataFrame({"number": [4], "recipe": [json.dumps({**data, field: "of_a_user"})]})
    (name,) = name_networks(starts, [4, 5]).values()
    assert name in ("of_a_user:width_mult=0.123456789", "mobilenet:width_mult=0.123")


def test_trials_without_a_start_keep_their_params() -> None:
    trials, starts = frames(digits_families(), 3)
    table = for_people(leaderboard(trials, starts.iloc[:0], objective=Objective("val_accuracy")), trials)
    assert "network" not in table.columns
    assert all("model=" in str(row[-1]) for row in table.rows) or "model=" in table.note
