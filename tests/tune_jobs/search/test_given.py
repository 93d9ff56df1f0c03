"""Points are checked against the space, and trials of other studies keep their values as rows."""

from __future__ import annotations

from typing import Any

import pytest
from search_testing import NOON, end, report

from eml_models.errors import InvalidValueError
from tune_jobs.search.given import SourceTrial, as_event, check_point, source_trials_of
from tune_jobs.study.parameters import Choice, Constant, Float, When
from tune_jobs.study.rows import ReportRow, State
from tune_jobs.study.space import Space

SPACE = Space(
    Choice("optimizer", ("sgd", "adam")),
    Float("momentum", 0.0, 0.9, when=When("optimizer", ("sgd",))),
    Choice("nesterov", (True, False), when=When("momentum", (0.5, 0.9))),
    Constant("batch_size", 32),
)


@pytest.mark.parametrize(
    ("params", "point"),
    [
        ({"momentum": 0.7}, {"optimizer": "sgd", "momentum": 0.7}),
        (
            {"nesterov": True, "momentum": 0.5},
            {"optimizer": "sgd", "momentum": 0.5, "nesterov": True},
        ),
        ({"optimizer": "adam"}, {"optimizer": "adam"}),
        ({"batch_size": 32}, {"batch_size": 32}),
        ({}, {}),
    ],
)
def test_a_point_holds_what_its_parameters_depend_on(params: dict[str, Any], point: dict[str, Any]) -> None:
    assert check_point(SPACE, params) == point


def test_a_parent_that_is_a_constant_need_not_be_in_the_point() -> None:
    assert check_point(SPACE.fixed({"optimizer": "sgd"}), {"momentum": 0.7}) == {"momentum": 0.7}
    with pytest.raises(InvalidValueError, match=r"only where optimizer is one of \['sgd'\], got 'adam'"):
        check_point(SPACE.fixed({"optimizer": "adam"}), {"momentum": 0.7})


def test_all_problems_of_a_point_are_named_together() -> None:
    with pytest.raises(InvalidValueError) as raised:
        check_point(SPACE, {"optimizr": "sgd", "batch_size": 64, "nesterov": True})
    assert str(raised.value).split("; ") == [
        "optimizr: not in this space",
        "known: optimizer, momentum, nesterov, batch_size",
        "nesterov applies only where momentum is one of [0.5, 0.9]",
        "give momentum too",
        "batch_size is fixed at 32, got 64",
    ]


@pytest.mark.parametrize("last_report", [None, report(3, 5, 0.75, study="other", reported_at=NOON)])
def test_trials_of_an_event_have_the_values_that_it_was_made_of(last_report: ReportRow | None) -> None:
    row = end(
        3, State.STOPPED, {"momentum": 0.5}, study="other", objective=0.75,
        objectives='{"val_accuracy":0.75}', macs=100, parameters=10, seed=0, ended_at=NOON,
    )  # fmt: skip
    trial = SourceTrial(params={"momentum": 0.5}, end=row, last_report=last_report)
    event = as_event("other", [trial], metric="val_accuracy")
    assert event.origin == "other"
    assert source_trials_of(event, metric="val_accuracy", at=NOON) == [trial]
