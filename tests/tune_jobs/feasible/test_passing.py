"""The share of drawn networks that the limits of a study admit."""

from __future__ import annotations

import pytest

from tune_jobs import Maximize
from tune_jobs.feasible.passing import Passing, count_passing
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.study.definition import Study
from tune_jobs.study.method import LatencyMode, Limits
from tune_jobs.study.parameters import Integer
from tune_jobs.study.space import Space

WIDTHS = Space(Integer("width", 1, 64))


def a_study(**limits: int) -> Study:
    return digits_recipes().with_changes(space=WIDTHS, limits=Limits(**limits))  # type: ignore[arg-type]  # counts


def test_no_limit_on_the_plan_gives_no_share() -> None:
    assert count_passing(digits_recipes()) is None
    slow = digits_recipes().with_changes(limits=Limits(max_latency_ms=1.0), latency=LatencyMode())
    assert count_passing(slow) is None


@pytest.mark.parametrize(
    ("limits", "admitted"), [({"max_macs": 10**12}, 50), ({"max_macs": 1}, 0), ({"min_macs": 10**12}, 0)]
)
def test_limits_that_admit_everything_or_nothing(limits: dict[str, int], admitted: int) -> None:
    assert count_passing(a_study(**limits), drawn=50) == Passing(drawn=50, admitted=admitted)


def test_share_is_that_of_the_space_and_the_same_each_time() -> None:
    found = count_passing(a_study(max_parameters=30_000), drawn=200)
    assert found is not None
    assert 0 < found.admitted < 200
    assert count_passing(a_study(max_parameters=30_000), drawn=200) == found


def train(params: dict[str, object], run: object) -> dict[str, float]:
    return {"iou": 1.0}


def cost(params: dict[str, int]) -> dict[str, float]:
    return {"memory_gb": params["width"]}


def test_costs_of_own_training_are_judged_by_its_own_limits() -> None:
    study = Study(
        name="own", space=Space(Integer("width", 1, 10)), train=train, cost=cost, epochs=2,
        objectives=(Maximize("iou"),), limits=Limits.of_costs({"memory_gb": 5}),
    )  # fmt: skip
    found = count_passing(study, drawn=200)
    assert found is not None
    assert 60 < found.admitted < 140
    assert count_passing(study.with_changes(limits=Limits())) is None
