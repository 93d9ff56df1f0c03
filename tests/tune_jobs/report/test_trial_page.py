"""The page of one trial: tables for people, one object and one curve for programs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tune_jobs.analysis.one_trial import facts_of
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.report.trial_page import MAX_EPOCHS, ShownLog, curve, trial_object, trial_tables
from tune_jobs.study.rows import Decision, EventKind, Row, State
from tune_jobs.testing.rows import event_row, numbered, report_row, start_row, trial_row

RECIPE = (
    '{"batch_size":32,"dataset":"digits","epochs":300,"learning_rate":0.1,"model":"small_cnn",'
    '"model_options":{},"momentum":null,"seed":4276956336}'
)
LOG = ShownLog(attempt=1, where="logs/s/0/attempt-1.log", text="hello\n")


def rows_of(num_epochs: int = 3, *, state: State = State.STOPPED, **end: Any) -> list[Row]:
    stop = {"decision": Decision.STOP, "decision_reason": "worse than 0.9", "history_seq": 1}
    reports = [report_row(0, epoch, epoch / 1000) for epoch in range(1, num_epochs)]
    return numbered(
        start_row(0, {"batch_size": 32}, recipe=RECIPE),
        event_row(EventKind.ATTEMPT_STARTED, 0, device="cpu: x", pid=12345),
        *reports,
        report_row(0, num_epochs, 0.5, **stop),
        trial_row(
            0,
            state,
            {"batch_size": 32},
            epochs=num_epochs,
            macs=1000,
            objectives='{"val_accuracy":0.5}',
            **end,
        ),
    )


def tables_of(rows: list[Row]) -> dict[str, Table]:
    facts = facts_of(rows, 0, study="s")
    return {table.title: table for table in trial_tables(facts, metric="val_accuracy")}


def test_page_has_every_part_of_a_trial_in_order() -> None:
    tables = tables_of(rows_of())
    titles = ["trial 0 of s: stopped", "params", "the rest of the recipe", "curve", "decisions", "attempts"]
    assert list(tables) == titles
    assert dict(tables["trial 0 of s: stopped"].rows)["macs"] == "1,000"
    assert tables["params"].rows == (("batch_size", "32"),)
    recipe = dict(tables["the rest of the recipe"].rows)
    assert recipe["network"] == "small_cnn"
    assert recipe["seed"] == "4276956336"
    assert recipe.keys().isdisjoint({"batch_size", "momentum", "model"})
    assert tables["curve"].columns == ("epoch", "val_accuracy", "epoch_s")
    assert tables["curve"].rows == ((1, 0.001, None), (2, 0.002, None), (3, 0.5, None))
    assert tables["decisions"].rows == ((3, "stop", 0.5, "worse than 0.9"),)
    assert tables["attempts"].rows[0][4] == "12345"
    assert tables["attempts"].rows[0][5] is None  # a first attempt continues nothing


def test_a_gpu_and_its_steps_have_a_table_of_their_own() -> None:
    begun = '{"gpus":0.5,"driver_version":"580.159.04","cudnn_version":91900,"mps":false}'
    ended = '{"how":"stopped","execution":"graph","step_s":0.005,"gpu_busy":0.96}'
    rows = rows_of()
    rows[1:2] = [event_row(EventKind.ATTEMPT_STARTED, 0, device="cuda: x", detail=begun)]
    rows.append(event_row(EventKind.ATTEMPT_ENDED, 0, detail=ended))
    table = tables_of(numbered(*rows))["on the GPU"]
    assert dict(zip(table.columns, table.rows[0], strict=True)) == {
        "attempt": 1,
        "gpus": 0.5,
        "execution": "graph",
        "step_s": 0.005,
        "gpu_busy": 0.96,
        "driver_version": "580.159.04",
        "cudnn_version": 91900,
    }
    assert "96.0 %" in render(table, "table")
    found = trial_object(facts_of(numbered(*rows), 0, study="s"), [])
    assert found["attempts"][0]["on_gpu"]["gpu_busy"] == 0.96
    json.dumps(found, allow_nan=False)


def test_error_of_a_failed_trial_is_on_its_page() -> None:
    table = tables_of(rows_of(state=State.FAILED, error="ValueError: no layer\nTraceback"))[
        "trial 0 of s: failed"
    ]
    assert table.rows[-1] == ("error", "ValueError: no layer\nTraceback")
    assert "no layer" in render(table, "table")


def test_a_refused_trial_has_a_page_without_recipe_and_curve() -> None:
    rows = numbered(trial_row(0, State.INFEASIBLE, {"width": 2.0}, macs=10**9, reason="too many MACs"))
    tables = tables_of(rows)
    assert list(tables) == ["trial 0 of s: infeasible", "params"]
    assert tables["trial 0 of s: infeasible"].note == "too many MACs"


def test_a_trial_that_runs_has_its_page_so_far() -> None:
    tables = tables_of(rows_of()[:-1])
    assert tables["trial 0 of s: no end yet"].rows == ((3, 1),)
    assert "curve" in tables


@pytest.mark.parametrize(("num_epochs", "num_shown"), [(1, 1), (MAX_EPOCHS, MAX_EPOCHS), (300, 39)])
def test_a_long_curve_is_thinned_for_people_and_whole_for_programs(num_epochs: int, num_shown: int) -> None:
    facts = facts_of(rows_of(num_epochs), 0, study="s")
    shown = curve(facts, metric="val_accuracy")
    epochs = [row[0] for row in shown.rows]
    assert len(epochs) == num_shown
    assert epochs[0] == 1
    assert epochs[-1] == num_epochs
    assert ("are left out" in shown.note) == (num_shown < num_epochs)
    assert len(curve(facts, metric="val_accuracy", whole=True).rows) == num_epochs


def test_metrics_of_own_training_are_in_the_curve_and_at_the_end() -> None:
    rows = numbered(
        start_row(0, {"depth": 3}, recipe='{"epochs":2,"params":{"depth":3},"seed":7}'),
        report_row(0, 1, metrics='{"iou":0.25,"note":"ok"}'),
        report_row(0, 2, metrics='{"dice":0.125,"iou":0.5}'),
        trial_row(
            0, State.COMPLETED, {"depth": 3}, objectives='{"iou":0.5}', metrics='{"dice":0.125,"iou":0.5}'
        ),
    )
    facts = facts_of(rows, 0, study="s")
    tables = {table.title: table for table in trial_tables(facts, metric="iou")}
    assert tables["curve"].columns == ("epoch", "iou", "dice", "epoch_s")
    assert tables["curve"].rows == ((1, 0.25, None, None), (2, 0.5, 0.125, None))
    assert dict(tables["trial 0 of s: completed"].rows)["dice"] == "0.1250"
    assert dict(tables["the rest of the recipe"].rows) == {"epochs": "2", "seed": "7"}
    assert trial_object(facts, [])["reports"][0]["metrics"] == {"iou": 0.25, "note": "ok"}


def test_object_of_a_trial_is_json_with_every_part() -> None:
    found = json.loads(json.dumps(trial_object(facts_of(rows_of(), 0, study="s"), [LOG]), allow_nan=False))
    assert (found["study"], found["number"], found["state"]) == ("s", 0, "stopped")
    assert found["params"] == {"batch_size": 32}
    assert found["recipe"]["momentum"] is None
    assert found["objectives"] == {"val_accuracy": 0.5}
    assert [report["epoch"] for report in found["reports"]] == [1, 2, 3]
    assert found["reports"][-1]["decision_reason"] == "worse than 0.9"
    assert found["attempts"][0]["pid"] == 12345
    assert found["logs"] == [{"attempt": 1, "where": "logs/s/0/attempt-1.log", "text": "hello\n"}]
