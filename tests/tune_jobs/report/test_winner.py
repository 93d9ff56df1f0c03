"""The sentences on what won compare recipes, name ties and limits, and send nobody to a refusal."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tune_jobs import Float, Integer, Maximize, Space, Study
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.winner import iter_won
from tune_jobs.study.rows import Row
from tune_jobs.testing.rows import numbered, start_row, trial_row


def train(params: dict[str, Any], run: Any) -> dict[str, float]:
    return {"iou": params["rate"]}


def seen_of_trials(*trials: tuple[float, float], own: bool = True, **changes: Any) -> Seen:
    """A study of completed trials, each with its rate and its objective; equal rates are one recipe.

    Args:
        own: whether it has its own training.
        changes: of the definition.
    """
    space = Space(Float("rate", 0.0, 1.0), Integer("repeat", 1, 9))
    study = Study(name="won", space=space, train=train, epochs=1, objectives=(Maximize("iou"),))
    definition = {**json.loads(json.dumps(study.definition())), **changes}
    rows: list[Row] = []
    for number, (rate, value) in enumerate(trials):
        params = {"rate": rate} if own else {"rate": rate, "repeat": number + 1}
        text = json.dumps({"iou": value})
        end = trial_row(number, params=params, study="won", objective=value, objectives=text)
        rows += [start_row(number, params, study="won"), replace(end, macs=156_320, metrics='{"gb": 2.5}')]
    return Seen(
        name="won", definition={**definition, "train": "train" if own else None}, rows=numbered(*rows)
    )


def words_of_won(seen: Seen) -> str:
    return " ".join(iter_won(seen))


@pytest.mark.parametrize(
    ("own", "candidates", "words"),
    [
        (True, [], "Let the training function train the best params with several seeds"),
        (False, [], "Train the best ones again with several seeds (finalists)."),
        (False, [{"name": "a", "changes": {}}], "(finalists with a larger --repeats)."),
    ],
)
def test_way_to_more_seeds_is_open_to_the_study(own: bool, candidates: list[Any], words: str) -> None:
    text = words_of_won(seen_of_trials((0.1, 0.5), (0.2, 0.4), own=own, candidates=candidates))
    assert words in text
    assert ("finalists" in text) is not own
    assert "each recipe was trained once" in text


@pytest.mark.parametrize("own", [True, False])
def test_next_is_another_recipe_and_repeats_of_the_best_are_counted(own: bool) -> None:
    text = words_of_won(seen_of_trials((0.1, 0.5), (0.1, 0.45), (0.2, 0.4), own=own))
    assert "The next recipe is of trial 2 with 0.4." in text
    assert "the recipe of trial 0 was trained 2 times, each other recipe once" in text


def test_repeats_of_one_recipe_alone_are_compared_with_none() -> None:
    assert "All completed trials are of its recipe" in words_of_won(seen_of_trials((0.1, 0.5), (0.1, 0.5)))


def test_tie_is_called_a_tie() -> None:
    text = words_of_won(seen_of_trials((0.1, 0.3), (0.2, 0.993031), (0.3, 0.9930311)))
    assert text.startswith("Trials 1 and 2 tie by iou: 0.993031. ")
    assert "Which of the two is better cannot be judged" in text
    assert "is the best" not in text


def test_tie_of_many_trials_names_a_few() -> None:
    text = words_of_won(seen_of_trials(*((rate / 10, 0.5) for rate in range(9))))
    assert text.startswith("Trials 0, 1, 2, 3, 4 and 4 more tie by iou: 0.5.")
    assert "Which of them is better" in text


def test_repeats_of_one_recipe_with_equal_values_are_no_tie() -> None:
    assert "tie" not in words_of_won(seen_of_trials((0.1, 0.5), (0.1, 0.5), (0.2, 0.4)))


def test_winner_is_named_with_the_limits_that_it_keeps() -> None:
    none = {"max_parameters": None, "max_latency_ms": None}
    limits = {**none, "max_macs": 200_000, "min_macs": 100_000, "own": [["gb", None, 8]]}
    text = words_of_won(seen_of_trials((0.1, 0.5), limits=limits))
    assert (
        "Under the limits of the study trial 0 has 156,320 of 200,000 MACs, 156,320 MACs (at least 100,000)"
        " and 2.5 of 8 gb." in text
    )
    assert "limits" not in words_of_won(seen_of_trials((0.1, 0.5)))
