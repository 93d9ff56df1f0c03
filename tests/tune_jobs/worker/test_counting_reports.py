"""What may be a report of own training, and how reports are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from own_attempts import RECIPE, Params, reports_of, yields

from eml_models.errors import InvalidValueError
from tune_jobs.worker.trial_run import TrialRun


def calls(params: Params, run: TrialRun) -> None:
    for epoch in range(1, run.epochs + 1):
        run.report({"iou": epoch * params["lr"]})


def returns_iterator(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    return yields(params, run)


class AsObject:
    """A training function with settings of its own."""

    def __call__(self, params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        yield from yields(params, run)


KINDS = pytest.mark.parametrize("train", [yields, calls, returns_iterator, AsObject()])


@KINDS
def test_reports_are_counted_from_one(train: Callable[..., Any]) -> None:
    assert reports_of(train) == [(epoch, {"iou": epoch * 0.1}) for epoch in (1, 2, 3, 4)]


def test_a_returned_mapping_is_the_only_report() -> None:
    assert reports_of(lambda params, run: {"iou": 0.5}) == [(1, {"iou": 0.5})]
    assert reports_of(lambda params, run: None) == []


def test_params_are_plain_and_bound_to_nothing() -> None:
    seen = []

    def train(params: Params, run: TrialRun) -> dict[str, float]:
        seen.append((params, run.seed, run.number, run.epochs, run.device))
        params["lr"] = 9.0  # the trial's own copy
        return {"iou": 0.0}

    reports_of(train)
    assert seen == [({"lr": 9.0, "depth": 2, "momentum": "heavy"}, 7, 3, 4, "cpu")]
    assert RECIPE.params["lr"] == 0.1


@dataclass
class Scores:
    """A report as a dataclass."""

    iou: float
    dice: float


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (Scores(iou=0.5, dice=0.25), {"iou": 0.5, "dice": 0.25}),
        ({"iou": np.float32(0.5)}, {"iou": 0.5}),
        ({"iou": torch.tensor(0.5)}, {"iou": 0.5}),
        ({"iou": torch.tensor([3])}, {"iou": 3}),
        ({"iou": np.array(2)}, {"iou": 2}),
        (
            {"iou": True, "dice.mean": None, "note": "x" * 2000},
            {"iou": True, "dice.mean": None, "note": "x" * 997 + "..."},
        ),
        ({"iou": 10**400}, {"iou": float("inf")}),
        ({"iou": 2**70}, {"iou": float(2**70)}),
    ],
)
def test_values_become_plain(metrics: object, expected: dict[str, Any]) -> None:
    ((_, found),) = reports_of(lambda params, run: metrics)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (0.5, "a report is a mapping or a dataclass of metrics"),
        ({"iou": [1, 2]}, "metric iou must be a number, a truth value or text, got list"),
        ({"iou": torch.zeros(2)}, "metric iou must be a number"),
        ({"iou": {"mean": 1.0}}, "metric iou must be a number"),
        ({1: 0.5}, "the name of a metric has 1 to 100 characters"),
        ({'a"b': 0.5}, "the name of a metric has 1 to 100 characters"),
        ({"epoch": 0, "iou": 1.0}, "must be a whole number above the last (0) and at most 4, got 0"),
        ({"epoch": 1.5, "iou": 1.0}, "must be a whole number above the last (0) and at most 4, got 1.5"),
    ],
)
def test_what_is_no_report_is_an_error_that_says_the_rule(metrics: object, words: str) -> None:
    def generator(params: Params, run: TrialRun) -> Iterator[object]:
        yield metrics

    def function(params: Params, run: TrialRun) -> None:
        run.report(metrics)

    for train in (generator, function):
        with pytest.raises(InvalidValueError) as error:
            reports_of(train)
        assert words in str(error.value)


def test_an_epoch_may_be_stated_and_counting_continues_from_it() -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        yield {"epoch": 2, "iou": 0.2}
        yield {"iou": 0.3}

    assert reports_of(train) == [(2, {"iou": 0.2}), (3, {"iou": 0.3})]


def test_a_generator_does_not_call_report_too() -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        run.report({"iou": 0.2})
        yield {"iou": 0.3}

    with pytest.raises(InvalidValueError, match="yields its reports"):
        reports_of(train)


@pytest.mark.parametrize("generator", [True, False])
def test_reports_after_the_last_epoch_are_not_taken(
    generator: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def forever(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        while True:
            yield {"iou": 0.1}

    def function(params: Params, run: TrialRun) -> None:
        for metrics in forever(params, run):
            run.report(metrics)

    assert [epoch for epoch, _ in reports_of(forever if generator else function)] == [1, 2, 3, 4]
    assert "trial 3 reports after epoch 4, with which it is complete" in caplog.text


@pytest.mark.parametrize(
    "second",
    [2, np.int64(2), np.uint8(2), np.array(2), np.array([2]), torch.tensor(2), torch.tensor([2]), 2.0,
     np.float32(2), torch.tensor(2.0)],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("by_keyword", [True, False])
def test_any_whole_number_states_an_epoch(second: Any, by_keyword: bool) -> None:
    def train(params: Params, run: TrialRun) -> None:
        run.report({"iou": 0.1}, epoch=1)
        if by_keyword:
            run.report({"iou": 0.2}, epoch=second)
        else:
            run.report({"iou": 0.2, "epoch": second})
        run.report({"iou": 0.3})

    found = reports_of(train)
    assert found == [(1, {"iou": 0.1}), (2, {"iou": 0.2}), (3, {"iou": 0.3})]
    assert {type(epoch) for epoch, _ in found} == {int}


@pytest.mark.parametrize(
    "wrong",
    [True, np.bool_(True), torch.tensor(True), 1.5, np.float64(1.5), float("nan"), float("inf"), "1", "one",
     [1], torch.ones(2), 1 + 0j, object],
    ids=repr,
)  # fmt: skip
def test_nothing_else_states_an_epoch(wrong: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"must be a whole number above the last \(0\) and at most 4"):
        reports_of(lambda params, run: run.report({"iou": 0.2}, epoch=wrong))


def test_beside_a_stated_epoch_a_metric_of_that_name_is_a_metric() -> None:
    def train(params: Params, run: TrialRun) -> None:
        run.report({"iou": 0.1, "epoch": 7}, epoch=2)

    assert reports_of(train) == [(2, {"iou": 0.1, "epoch": 7})]
