"""Own training that does what it must not: each error says what was got, the rule, and the way out.

The studies run in this process, from the function to the stored row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eml_models.errors import DatasetMissingError, InvalidValueError
from tune_jobs import Choice, Float, Maximize, QueryError, RunSettings, Space, Study, TrialStore, run_study
from tune_jobs.errors import RunFailedError, StoreError
from tune_jobs.on_ray.preflight import check_before_ray
from tune_jobs.study.rows import Failure, ReportRow, State, TrialRow

Params = dict[str, Any]


def a_study(train: Any, **changes: Any) -> Study:
    words: dict[str, Any] = {
        "name": "cells",
        "space": Space(Float("lr", 0.1, 1.0), Choice("depth", (2, 3))),
        "train": train,
        "objectives": (Maximize("iou"),),
        "epochs": 4,
        "trials": 1,
        "asha": None,
    }
    return Study(**{**words, **changes})


def run(store: Path, train: Any, **changes: Any) -> list[TrialRow]:
    run_study(a_study(train, **changes), store=str(store), inline=True)
    return [row for row in TrialStore(store).rows("cells") if isinstance(row, TrialRow)]


def yielding(*reports: object) -> Any:
    return lambda params, run: iter(reports)


def saving(state: object) -> Any:
    def train(params: Params, run: Any) -> Iterator[dict[str, float]]:
        run.save(state)
        yield {"iou": 0.5}

    return train


def saves_no_folder(params: Params, run: Any) -> Iterator[dict[str, float]]:
    run.save_folder(run.scratch / "nowhere")
    yield {"iou": 0.5}


def yields_and_reports(params: Params, run: Any) -> Iterator[dict[str, float]]:
    run.report({"iou": 0.5})
    yield {"iou": 0.5}


@pytest.mark.parametrize(
    ("train", "got", "rule", "way_out"),
    [
        (yielding(), "returned before it reported", "must yield or return", "call run.report(metrics)"),
        (lambda params, run: None, "returned before it reported", "must yield", "call run.report(metrics)"),
        (yielding(0.5), "got float 0.5", "a report is a mapping or a dataclass", 'such as {"iou": 0.7}'),
        (yielding([0.5]), "got list [0.5]", "a report is a mapping or a dataclass", 'such as {"iou": 0.7}'),
        (lambda params, run: 0.5, "got float 0.5", "a report is a mapping", 'such as {"iou": 0.7}'),
        (yielding({}), "it is empty", "lacks the objective iou", 'Report such as {"iou": 0.7}'),
        (yielding({"IoU": 0.5}), "it has, nearest first: IoU", "lacks the objective iou", "Is IoU meant?"),
        (yielding({"iou": "high"}), "got 'high'", "it must be a number", "or choose another objective"),
        (yielding({"iou": [1, 2]}), "got list [1, 2]", "must be a number, a truth value", "report a mean"),
        (
            yielding({"iou": 0.1, "epoch": 2}, {"iou": 0.2, "epoch": 2}),
            "got 2", "above the last (2) and at most 4", "leave it out",
        ),
        (yielding({"iou": 0.1, "epoch": 5}), "got 5", "above the last (0) and at most 4", "leave it out"),
        (saving(np.zeros(2)), "got ndarray at state", "takes tensors and plain values", "run.save_folder"),
        (saving({"net": torch.nn.Linear(1, 1)}), "got Linear at state['net']", "plain", "state_dict()"),
        (saves_no_folder, "nowhere'", "takes a folder that exists", "a folder that exists"),
        (yields_and_reports, "", "a generator yields its reports", "does not call run.report"),
    ],
)  # fmt: skip
def test_a_trial_that_cannot_be_used_says_what_to_write(
    tmp_path: Path, train: Any, got: str, rule: str, way_out: str
) -> None:
    (trial,) = run(tmp_path, train)
    assert (trial.state, trial.failure) == (State.FAILED, Failure.RAISED)
    for words in (got, rule, way_out):
        assert words in trial.reason


def test_reports_after_the_end_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (trial,) = run(tmp_path, yielding(*({"iou": n / 10, "epoch": n} for n in range(1, 9))))
    assert (trial.state, trial.epochs, trial.objective) == (State.COMPLETED, 4, 0.4)
    assert "trial 0 reports after epoch 4, with which it is complete; train run.epochs epochs" in caplog.text


def test_names_and_types_of_metrics_may_change_within_a_study(tmp_path: Path) -> None:
    def train(params: Params, run: Any) -> Iterator[dict[str, object]]:
        yield {"iou": 0.1, "early": 1, "note": 3}
        yield {"iou": 0.2, "late": True, "note": "text"}

    run(tmp_path, train)
    store = TrialStore(tmp_path)
    reports = [json.loads(row.metrics) for row in store.rows("cells") if isinstance(row, ReportRow)]
    assert [set(report) for report in reports] == [{"iou", "early", "note"}, {"iou", "late", "note"}]
    found = store.sql("select early, late, note, note_string from reports order by epoch")
    assert found["early"].isna().tolist() == [False, True]
    assert found["note"].fillna(0).tolist() == [3, 0]
    assert found["note_string"].fillna("").tolist() == ["", "text"]


def test_metrics_that_differ_by_case_have_columns_that_an_error_names(tmp_path: Path) -> None:
    run(tmp_path, yielding({"iou": 0.5, "IoU": 0.25}))
    store = TrialStore(tmp_path)
    with pytest.raises(QueryError, match="Columns with a similar name: iou_caps0, IoU_caps1_3"):
        store.sql("select iou from trials")
    found = store.sql("select iou_caps0, IoU_caps1_3 from trials")
    assert found.iloc[0].tolist() == [0.5, 0.25]
    frame = store.trials("cells")
    assert (frame["iou_caps0"][0], frame["IoU_caps1_3"][0]) == (0.5, 0.25)


def test_parameters_that_differ_by_case_are_refused() -> None:
    with pytest.raises(
        InvalidValueError, match=r"'LR' and 'lr' differ by the case of letters only, .* rename one"
    ):
        a_study(yielding(), space=Space(Float("lr", 0.1, 1.0), Float("LR", 0.1, 1.0)))


def raises(params: Params) -> dict[str, float]:
    raise KeyError("width")


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (raises, "cost function raises of study 'cells' raised KeyError: 'width' for the params"),
        (lambda params: "30M", "must return numbers by name, such as"),
        (lambda params: {"macs": "30M"}, "must return finite numbers by name, got 'macs': '30M'"),
    ],
)
def test_a_cost_function_of_no_use_is_refused_before_the_store_knows(
    tmp_path: Path, cost: Any, words: str
) -> None:
    with pytest.raises(InvalidValueError) as error:
        run(tmp_path / "trials", yielding({"iou": 0.5}), cost=cost)
    assert words in str(error.value)
    assert not (tmp_path / "trials").exists()


def by_report(params: Params, run: Any) -> None:
    for _ in range(run.epochs):
        run.report({"iou": 0.5})
        if run.number == 1:
            raise RunFailedError("no more")


def by_yield(params: Params, run: Any) -> Iterator[dict[str, float]]:
    for _ in range(run.epochs):
        yield {"iou": 0.5}
        if run.number == 1:
            raise StoreError("my own store is gone")


def missing_data(params: Params, run: Any) -> Iterator[dict[str, float]]:
    if run.number == 1:
        raise DatasetMissingError("no such data")
    for _ in range(run.epochs):
        yield {"iou": 0.5}


@pytest.mark.parametrize("train", [by_report, by_yield, missing_data])
def test_an_error_of_ours_that_training_raises_costs_that_trial_alone(tmp_path: Path, train: Any) -> None:
    trials = run(tmp_path, train, trials=3)
    assert [trial.state for trial in trials] == [State.COMPLETED, State.FAILED, State.COMPLETED]
    assert trials[1].failure is Failure.RAISED
    assert "Error: " in str(trials[1].error)


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), RunFailedError("no"), SystemExit(1)])
def test_a_cost_function_that_raises_for_some_params_refuses_those_alone(
    tmp_path: Path, error: BaseException
) -> None:
    def cost(params: Params) -> dict[str, float]:
        if params["depth"] == 3:
            raise error
        return {"macs": 1.0}

    trials = run(tmp_path, yielding({"iou": 0.5}), cost=cost, trials=9, sampler="random")
    refused = [trial for trial in trials if trial.state is State.INFEASIBLE]
    assert len(trials) == 9 + len(refused) > 9
    assert {json.loads(trial.params)["depth"] for trial in refused} == {3}
    assert all(f"raised {type(error).__name__}: " in trial.reason for trial in refused)


def test_a_cost_function_that_fails_for_all_ends_the_run_and_the_next_run_continues(tmp_path: Path) -> None:
    def cost(params: Params) -> dict[str, float]:
        calls.append(params)
        if len(calls) > 4 and broken:
            raise ZeroDivisionError("division by zero")
        return {"macs": 1.0}

    calls: list[Params] = []
    broken = [True]
    with pytest.raises(InvalidValueError, match=r"raised ZeroDivisionError.*mend it, or narrow the space"):
        run(tmp_path, yielding({"iou": 0.5}), cost=cost, trials=9)
    broken.clear()
    trials = run(tmp_path, yielding({"iou": 0.5}), cost=cost, trials=9)
    states = [trial.state for trial in trials]
    assert (states.count(State.COMPLETED), states.count(State.INFEASIBLE)) == (9, 4)


def test_several_gpus_of_a_trial_are_the_functions_own_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_jobs.on_ray.preflight.gpus_here", lambda: 2)
    settings = RunSettings(gpus_per_trial=2)
    study = a_study(yields_and_reports)
    settings.check_gpus(study)
    check_before_ray(study, settings, code=None)
