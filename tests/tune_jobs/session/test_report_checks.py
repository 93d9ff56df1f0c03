"""Metrics have their names from one place, and a report is refused for what no row can hold."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
from session_testing import Clock, MemoryLog, a_study, rising

from eml_models.training.epoch_report import EpochReport
from eml_models.training.final_report import FINAL_METRICS, FinalReport
from tune_jobs.feasible.cost import count_cost
from tune_jobs.session.attempt import LiveAttempt
from tune_jobs.session.report_checks import (
    EPOCH,
    MAX_OTHERS,
    REPORT_METRICS,
    metric_columns,
    metrics_problem,
    number_of,
    values_of,
)
from tune_jobs.session.state_machine import Session
from tune_jobs.study.objective import LATENCY, METRICS
from tune_jobs.study.rows import Failure, ReportRow


def live_attempt() -> tuple[Session, LiveAttempt]:
    session = Session(a_study(trials=1, asha=None), MemoryLog(), clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    cost = count_cost(attempt.recipe)
    return session, LiveAttempt(attempt=attempt, cost=cost, handed_out_at=Clock().now)


def test_every_metric_of_a_training_is_a_column_of_its_type() -> None:
    said, columns = get_type_hints(FinalReport), get_type_hints(ReportRow)
    for name in REPORT_METRICS:
        kinds = {kind for kind in get_args(said[name]) or (said[name],) if kind is not type(None)}
        assert set(get_args(columns[name])) == {*kinds, type(None)}, name
    assert columns[EPOCH] is said[EPOCH] is int


def test_every_metric_that_is_searched_for_is_reported_or_measured() -> None:
    assert set(METRICS) <= {*REPORT_METRICS, LATENCY}
    assert {"test_accuracy"} == FINAL_METRICS
    assert [f.name for f in fields(FinalReport)] == [*(f.name for f in fields(EpochReport)), "test_accuracy"]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (0.5, 0.5),
        (True, None),
        ("0.5", None),
        (None, None),
        (10**400, float("inf")),
        (-(10**400), float("-inf")),
    ],
)
def test_a_metric_is_a_number_or_none(value: object, number: float | None) -> None:
    assert number_of(value) == number


def test_columns_hold_each_metric_and_whole_numbers_as_such() -> None:
    columns = metric_columns({"val_loss": 1, "peak_memory_bytes": 7.0, "train_loss": "x", "f1": 0.5})
    assert set(columns) == set(REPORT_METRICS)
    assert {name: value for name, value in columns.items() if value is not None} == {
        "val_loss": 1.0,
        "peak_memory_bytes": 7,
    }
    assert isinstance(columns["peak_memory_bytes"], int)


@pytest.mark.parametrize(
    ("changes", "failure", "says"),
    [
        ({"val_accuracy": None}, Failure.RAISED, "the report lacks val_accuracy; it has "),
        ({"epoch": 0}, Failure.RAISED, "a report's epoch must be a whole number above 0"),
        ({"epoch": True}, Failure.RAISED, "a report's epoch must be a whole number above 0"),
        ({"val_accuracy": "high"}, Failure.RAISED, "val_accuracy must be a number, got 'high'"),
        ({"val_accuracy": float("nan")}, Failure.DIVERGED, "val_accuracy is nan at epoch 1"),
        ({"train_loss": float("inf")}, Failure.DIVERGED, "train_loss is inf at epoch 1"),
        ({"val_accuracy": 10**400}, Failure.DIVERGED, "val_accuracy is inf at epoch 1"),
        ({"peak_memory_bytes": 10**400}, Failure.DIVERGED, "peak_memory_bytes is inf at epoch 1"),
    ],
)
def test_a_report_that_no_row_can_hold_says_why(changes: dict[str, Any], failure: Failure, says: str) -> None:
    session, live = live_attempt()
    metrics = {**rising(live.attempt, 1), **changes}
    problem = metrics_problem(session.study, live, metrics)
    assert problem is not None
    assert problem[0] is failure
    assert problem[1].startswith(says)


def test_a_report_that_can_be_used_has_no_problem() -> None:
    session, live = live_attempt()
    assert metrics_problem(session.study, live, rising(live.attempt, 1)) is None


@dataclass(frozen=True, slots=True)
class Slotted:
    epoch: int = 1
    val_acc: float = 0.5


class Computed:
    """A report whose metric is computed, as a property is."""

    def __init__(self) -> None:
        self.epoch, self.val_acc, self._hidden = 1, 0.5, 2

    @property
    def val_loss(self) -> float:
        return 0.25


@pytest.mark.parametrize(
    ("report", "values"),
    [
        (SimpleNamespace(epoch=1, val_acc=0.5), {"epoch": 1, "val_acc": 0.5}),
        (namedtuple("Row", "epoch val_acc")(1, 0.5), {"epoch": 1, "val_acc": 0.5}),
        (Slotted(), {"epoch": 1, "val_acc": 0.5}),
        (Computed(), {"epoch": 1, "val_loss": 0.25, "val_acc": 0.5}),
    ],
)
def test_every_field_of_a_report_is_read_whatever_kind_of_object_it_is(
    report: object, values: dict[str, object]
) -> None:
    assert values_of(report) == values


def test_a_report_with_very_many_fields_gives_few_of_their_names() -> None:
    report = SimpleNamespace(epoch=1, val_accuracy=0.5, **{f"layer_{n}": n for n in range(1000)})
    values = values_of(report)
    assert len(values) == MAX_OTHERS + 2
    assert values["val_accuracy"] == 0.5


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"epoch": 1, "val_acc": 0.5, "loss": 2.0},
            "the report lacks val_accuracy; it has val_acc, loss, epoch. Is val_acc meant? Report it under"
            " the name val_accuracy",
        ),
        (
            {"epoch": 1, "Val_Accuracy": 0.5},
            "the report lacks val_accuracy; it has Val_Accuracy, epoch. Is Val_Accuracy meant? Report it"
            " under the name val_accuracy",
        ),
        ({"epoch": 1, "f1": 0.5}, "the report lacks val_accuracy; it has epoch, f1"),
        ({"epoch": 1, "val_accuracy": None}, "the report lacks val_accuracy; it has epoch"),
        ({"epoch": 1, "train_accuracy": 0.5}, "the report lacks val_accuracy; it has train_accuracy, epoch"),
        ({}, "the report lacks epoch, val_accuracy; it has nothing"),
        (
            {"epochs": 1, "val_accuracy": 0.5},
            "the report lacks epoch; it has epochs, val_accuracy. Is epochs meant? Report it under the name"
            " epoch",
        ),
    ],
)
def test_a_report_without_a_metric_names_all_that_it_has_and_the_metric_that_is_meant(
    given: dict[str, object], says: str
) -> None:
    session, live = live_attempt()
    assert metrics_problem(session.study, live, given) == (Failure.RAISED, says)
