"""Views list last what no study of the store fills; all that a study fills comes before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from session_testing import a_study

from tune_jobs import Choice, Float, Maximize, Space, Study, TrialStore
from tune_jobs.session.state_machine import Session
from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.store.reading.unfilled import unfilled_columns
from tune_jobs.store.writer import StudyWriter
from tune_jobs.testing.in_process import own_reports, play


def train(params: dict[str, Any], run: Any) -> Any:
    for epoch in range(1, run.epochs + 1):
        yield {"iou": params["lr"] * epoch, "val_loss": 1.5}


def cost(params: dict[str, Any]) -> dict[str, float]:
    return {"macs": 3e6, "memory_gb": 2}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    study = Study(
        name="cells",
        space=Space(Float("lr", 0.1, 1.0), Float("momentum", 0.0, 0.9), Choice("optimizer", (1, 2))),
        train=train,
        cost=cost,
        objectives=(Maximize("iou"),),
        epochs=2,
        trials=2,
        asha=None,
    )
    with StudyWriter.open(tmp_path / "store", study, versions={}) as log:
        play(Session(study, log), own_reports(study))
    return tmp_path / "store"


def columns_of(store: Path, view: str) -> list[str]:
    return list(TrialStore(store).sql(f"describe {view}")["column_name"])


def test_columns_that_own_training_fills_come_before_those_of_recipes(own: Path) -> None:
    columns = columns_of(own, "trials")
    filled = ["objective", "macs", "param_momentum", "param_lr", "param_optimizer_int64", "iou", "memory_gb"]
    assert [column for column in columns if column in filled] == filled
    behind = columns[columns.index("memory_gb") :]
    assert {"val_accuracy", "param_optimizer", "param_width_7", "data_fingerprint"} < set(behind)
    assert not {"state", "macs", "ended_at", "peak_memory_bytes"} & set(behind)
    assert columns_of(own, "reports").index("val_loss") < columns_of(own, "reports").index("val_accuracy")


@pytest.mark.parametrize("view", ["trials", "reports", "starts"])
def test_what_stands_last_has_no_value(own: Path, view: str) -> None:
    store = TrialStore(own)
    columns = columns_of(own, view)
    first_empty = next((n for n in columns if n in ("train_loss", "val_accuracy", "param_optimizer")), None)
    assert first_empty is not None
    found = store.sql(f"select * from {view}")
    assert list(found) == columns
    behind = found[columns[columns.index(first_empty) :]]
    assert len(behind) > 0
    assert not behind.notna().to_numpy().any()


def test_a_study_of_a_recipe_keeps_the_order_of_its_columns(own: Path) -> None:
    study = a_study(trials=1)
    with StudyWriter.open(own, study, versions={}):
        pass
    rows = [name for name in SCHEMAS["trials"].names if not name.startswith("param_")]
    assert columns_of(own, "trials")[: len(rows)] == rows
    assert columns_of(own, "reports")[: len(SCHEMAS["reports"].names)] == SCHEMAS["reports"].names


def test_a_store_without_a_study_has_the_order_of_its_files() -> None:
    assert unfilled_columns([], []) == frozenset()
