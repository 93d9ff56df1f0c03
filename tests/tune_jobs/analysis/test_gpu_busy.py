"""Busy seconds of GPUs and notes on launches, from rows; null where nothing was measured."""

from __future__ import annotations

from typing import Any

import pytest

from tune_jobs.analysis.gpu_busy import (
    describe_gpu_busy,
    describe_launches,
    describe_others,
    gpu_busy_s,
    iter_measured,
)
from tune_jobs.study.rows import EventKind, Row, as_json_text
from tune_jobs.testing.rows import event_row, numbered, report_row, start_row

EAGER: dict[str, Any] = {"execution": "eager", "step_s": 0.0271, "gpu_busy": 0.2, "first_step_s": 30.0}
GRAPH: dict[str, Any] = {"execution": "graph", "step_s": 0.00535, "gpu_busy": 0.98, "first_step_s": 2.0}


def attempt_rows(number: int, end: dict[str, Any], *, gpus: float | None = None, **begin: Any) -> list[Row]:
    begun = as_json_text({"resumed_from_epoch": 0, **begin, **({"gpus": gpus} if gpus else {})})
    kind = EventKind.ATTEMPT_ENDED if "how" in end else EventKind.ATTEMPT_INTERRUPTED
    return [
        start_row(number, {"x": number}, recipe='{"batch_size":128,"epochs":2}'),
        event_row(EventKind.ATTEMPT_STARTED, number, detail=begun, device="cuda: H200", node="n1"),
        report_row(number, 1, 0.5, epoch_s=40.0),
        report_row(number, 2, 0.6, epoch_s=10.0),
        event_row(kind, number, detail=as_json_text(end)),
    ]


def of_cpu(number: int) -> list[Row]:
    return attempt_rows(number, {"how": "completed", "first_step_s": 1.0})


def test_busy_seconds_are_the_share_of_the_epochs_after_the_first_step() -> None:
    rows = numbered(*attempt_rows(0, {"how": "completed", **EAGER}), *attempt_rows(1, GRAPH), *of_cpu(2))
    assert gpu_busy_s(rows) == pytest.approx(0.2 * 20 + 0.98 * 48)
    first, second = iter_measured(rows)
    assert (first.number, first.train_s, first.batch_size) == (0, 20.0, 128)
    assert (second.number, second.execution) == (1, "graph")
    assert describe_gpu_busy(rows) == (
        "of 68.0 s of training on GPUs, measured in 2 attempts, the GPU was busy for 51.0, 75.1 % of them"
    )


def test_on_a_cpu_and_in_rows_without_a_measurement_nothing_is_known() -> None:
    rows = numbered(*of_cpu(0))
    assert gpu_busy_s(rows) is None
    assert describe_gpu_busy(rows) is None
    assert describe_launches(rows) == []
    assert describe_others(rows) == []


def test_a_study_bound_by_launches_is_said_with_figures_and_ways_out() -> None:
    chosen = {**EAGER, "eager_because": "eager execution was chosen"}
    rows = numbered(
        *attempt_rows(0, {"how": "completed", **chosen}),
        *attempt_rows(1, {"how": "stopped", **EAGER}),
        *attempt_rows(2, {"how": "stopped", **GRAPH}),
    )
    assert describe_launches(rows) == [
        "training is bound by launches in 2 of 3 attempts (medians): a step takes 27.10 ms, of which the"
        " GPU computes 5.42 ms (20 %); in the rest it waits for the host. Ways out: replay the steps as"
        " graphs, --execution auto (now eager: eager execution was chosen); a larger batch (now 128); several"
        " trials a GPU, --gpus-per-trial auto"
    ]


def test_a_graph_that_waits_gets_no_advice_on_graphs_and_a_shared_gpu_more_trials() -> None:
    rows = numbered(*attempt_rows(0, {"how": "completed", **GRAPH, "gpu_busy": 0.5}, gpus=0.25))
    (words,) = describe_launches(rows)
    assert words == (
        "training is bound by launches: a step takes 5.35 ms, of which the GPU computes 2.67 ms (50 %); in"
        " the rest it waits for the host. Ways out: a larger batch (now 128); more trials a GPU (now 4), with"
        " a smaller --gpus-per-trial"
    )


@pytest.mark.parametrize("num_bound", [0, 1])
def test_a_study_whose_gpu_is_busy_gets_no_note(num_bound: int) -> None:
    bound = [row for n in range(num_bound) for row in attempt_rows(n, {"how": "stopped", **EAGER})]
    rows = numbered(*bound, *attempt_rows(8, GRAPH))
    assert describe_launches(rows) == []


def test_a_gpu_that_strangers_use_too_is_said() -> None:
    rows = numbered(
        *attempt_rows(0, GRAPH, others_bytes=31 * 10**9),
        *attempt_rows(1, GRAPH, others_bytes=5 * 10**9),
        *attempt_rows(2, GRAPH, others_bytes=0),
    )
    assert describe_others(rows) == [
        "processes beside the study held up to 31.0 GB of the GPU when 2 attempts began (cuda: H200 of n1);"
        " their times and memory are not those of a GPU of their own"
    ]
