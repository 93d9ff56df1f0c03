"""What makes a value of an objective better."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import COSTS, METRICS, Direction, Maximize, Objective, as_objectives
from tune_jobs.study.parameters import Choice, Constant, Float
from tune_jobs.study.space import Space


def test_less_of_a_value_with_its_sign_is_better() -> None:
    assert {direction: direction.sign for direction in Direction} == {"maximize": -1.0, "minimize": 1.0}


@pytest.mark.parametrize("metric", [*METRICS, *COSTS])
def test_better_is_what_the_direction_says(metric: str) -> None:
    objective = Objective(metric=metric)
    rising = objective.direction is Direction.MAXIMIZE
    assert objective.is_better(0.2, 0.1) is rising
    assert objective.is_better(0.1, 0.2) is not rising
    for equal in (0.0, 0.1, -math.inf, math.inf):
        assert not objective.is_better(equal, equal)
    assert not objective.is_better(math.nan, 0.1)


def test_unknown_objective_lists_the_known() -> None:
    with pytest.raises(InvalidValueError, match="parameters"):
        Objective(metric="params")


def own(metric: str) -> Study:
    return Study(
        name="own", space=Space(Float("lr", 0.1, 1.0)), train=print, objectives=(Maximize(metric),), epochs=3
    )


def test_the_number_of_a_report_is_no_objective() -> None:
    with pytest.raises(InvalidValueError, match=r"got 'epoch': in a report this is its number.*best_epoch"):
        own("epoch")
    for metric in ("Epoch", "epochs", "number", "elapsed_s", "objective", "metrics"):
        assert own(metric).metrics == (metric,)


@pytest.mark.parametrize("text", ["R2", " R2 "])
def test_a_text_without_a_direction_says_how_to_write_it(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"needs a direction: R2:max or R2:min"):
        as_objectives(text)


HALF = "\ud800"


@pytest.mark.parametrize(
    "make",
    [
        lambda: own(f"iou{HALF}"),
        lambda: Space(Choice("a", (HALF, "b"))),
        lambda: Space(Constant("a", f"x{HALF}")),
        lambda: Space(Constant("a", (f"x{HALF}",))),
        lambda: own("iou").with_changes(cost=print, limits={f"gb{HALF}": 3}),
        lambda: own("iou").with_changes(space=Space(Float(HALF, 0, 1))),
    ],
)
def test_half_of_a_surrogate_pair_is_refused_where_a_study_is_made(make: Callable[[], object]) -> None:
    """No file holds it, so the run would end with an error of its own as soon as it writes."""
    with pytest.raises(InvalidValueError) as caught:
        make()
    str(caught.value).encode()
