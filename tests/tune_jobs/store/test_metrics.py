"""Columns for metrics of own training, in SQL and in frames: names, types, and names that collide."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from tune_jobs import Choice, Float, Maximize, Space, Study, TrialStore
from tune_jobs.errors import QueryError
from tune_jobs.session.state_machine import Session
from tune_jobs.store.columns.metrics import NUMBER, TEXT, TRUTH, metric_columns
from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.store.reading.column_notes import metric_notes
from tune_jobs.store.reading.connection import QueryLimits
from tune_jobs.store.reading.json_columns import JsonColumn, select_with
from tune_jobs.store.reading.own_metrics import find_metrics
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import ReportRow, State, TrialRow, as_json_text
from tune_jobs.testing.in_process import own_reports, play


def train(params: dict[str, Any], run: Any) -> Any:
    for epoch in range(1, run.epochs + 1):
        yield {"iou": params["lr"] * epoch, "dice.mean": 1, "number": 5.5, "Objective": "best", "flag": True}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrialStore:
    study = Study(
        name="cells",
        space=Space(Float("lr", 0.1, 1.0), Choice("depth", (2, 3))),
        train=train,
        objectives=(Maximize("iou"),),
        epochs=3,
        trials=2,
        asha=None,
    )
    path = tmp_path_factory.mktemp("store")
    with StudyWriter.open(path, study, versions={}) as log:
        play(Session(study, log), own_reports(study))
    return TrialStore(path)


def test_queries_and_frames_have_a_typed_column_for_each_metric(store: TrialStore) -> None:
    columns = ["iou", "dice.mean", "metric_number", "metric_Objective", "flag"]
    quoted = ", ".join(f'"{column}"' for column in columns)
    for table in ("reports", "trials"):
        queried = store.sql(
            f"select {quoted} from {table} order by trial_id, epochs"
            if table == "trials"
            else f"select {quoted} from {table} order by trial_id, epoch"
        )
        frame = getattr(store, table)("cells").sort_values(["trial_id", "seq"])[columns]
        assert queried.to_dict("list") == frame.to_dict("list")
        assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "float64", "str", "boolean"]
        assert set(queried["metric_Objective"]) == {"best"}


def test_plain_readers_have_all_metrics_as_json(store: TrialStore) -> None:
    found = store.sql("select max(cast(metrics ->> '$.iou' as double)) as iou from reports")
    assert found["iou"][0] == store.trials("cells")["objective"].max()


def columns_of(kinds: dict[str, set[str]], **options: Any) -> dict[str, tuple[str, str]]:
    return {column: (one.name, one.kind) for column, one in metric_columns(kinds, **options).items()}


def test_a_name_that_a_table_has_gets_a_prefix_and_case_alone_makes_no_column() -> None:
    assert columns_of({name: {NUMBER} for name in ("Epoch", "iou", "IoU", "metrics")}) == {
        "metric_Epoch": ("Epoch", NUMBER),
        "IoU_caps1_3": ("IoU", NUMBER),
        "iou_caps0": ("iou", NUMBER),
        "metric_metrics": ("metrics", NUMBER),
    }
    assert list(columns_of({"param_lr": {NUMBER}}, taken_too=["param_lr"])) == ["metric_param_lr"]


@pytest.mark.parametrize(
    ("kinds", "columns"),
    [
        (set(), {"a": NUMBER}),
        ({TRUTH}, {"a": TRUTH}),
        ({TEXT}, {"a": TEXT}),
        ({TEXT, NUMBER}, {"a": NUMBER, "a_string": TEXT}),
        ({TEXT, TRUTH}, {"a": TRUTH, "a_string": TEXT}),
        ({TEXT, NUMBER, TRUTH}, {"a": NUMBER, "a_bool": TRUTH, "a_string": TEXT}),
    ],
)
def test_numbers_have_the_plain_name_and_other_types_columns_of_their_own(
    kinds: set[str], columns: dict[str, str]
) -> None:
    assert columns_of({"a": kinds}) == {column: ("a", kind) for column, kind in columns.items()}


def test_a_metric_called_as_the_column_of_another_keeps_its_name() -> None:
    kinds = {"a": {NUMBER, TEXT}, "a_string": {NUMBER}}
    assert columns_of(kinds) == {
        "a": ("a", NUMBER),
        "metric_a_string": ("a", TEXT),
        "a_string": ("a_string", NUMBER),
    }


MIXED = {
    "first": [{"loss": 1, "n": 2}, {"loss": "1.5", "n": 3}, {"loss": 0.25, "n": 4}],
    "other": [{"loss": "low", "N": 5}, {"loss": True, "N": 6}, {"loss": None, "it's": 7}],
}
"""The metrics of each report of a trial of two studies."""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixed")
    now = datetime(2026, 11, 24, tzinfo=UTC)
    for name, reports in MIXED.items():
        study = Study(
            name=name, space=Space(Float("lr", 0.1, 1.0)), train=train, objectives=(Maximize("n"),), epochs=9
        )
        of_trial: dict[str, Any] = {"study": name, "trial_id": f"{name}/0", "number": 0, "attempt": 1}
        texts = [as_json_text(metrics) for metrics in reports]
        rows = [
            ReportRow(**of_trial, epoch=epoch, metrics=text, reported_at=now)
            for epoch, text in enumerate(texts, start=1)
        ]
        end = TrialRow(
            **of_trial,
            state=State.COMPLETED,
            reason="ran",
            params="{}",
            seed=0,
            metrics=texts[-1],
            ended_at=now,
        )
        with StudyWriter.open(path, study, versions={}) as log:
            log.append_many([*rows, end])
    return path


def values(frame: Any, column: str) -> list[object]:
    return [None if pd.isna(value) else value for value in frame[column].astype(object)]


def test_a_text_in_a_report_leaves_the_numbers_of_all_studies_numbers(mixed: Path) -> None:
    found = TrialStore(mixed).sql("select * from reports order by study, epoch")
    assert str(found["loss"].dtype) == "float64"
    assert values(found, "loss") == [1, None, 0.25, None, None, None]
    assert values(found, "loss_bool") == [None, None, None, None, True, None]
    assert values(found, "loss_string") == [None, "1.5", None, "low", None, None]
    assert values(found, "n_caps0") == [2, 3, 4, None, None, None]
    assert values(found, "N_caps1") == [None, None, None, 5, 6, None]
    assert values(found, "it's") == [None] * 5 + [7]


def test_frames_have_the_columns_of_queries(mixed: Path) -> None:
    store = TrialStore(mixed)
    for table in ("reports", "trials"):
        queried = store.sql(f"select * from {table} order by study, seq")
        frame = getattr(store, table)()
        added = [column for column in frame if column not in (*SCHEMAS[table].names, "param_lr")]
        assert added == ["N_caps1", "it's", "loss", "loss_bool", "loss_string", "n_caps0"]
        assert frame[added].equals(queried[added])


def test_both_tables_of_a_study_have_the_same_columns(mixed: Path) -> None:
    snapshot = TrialStore(mixed).read("first")
    for source in (snapshot, TrialStore(mixed)):
        for table in ("reports", "trials"):
            frame = getattr(source, table) if source is snapshot else getattr(source, table)("first")
            assert [column for column in frame if column in ("loss", "loss_string", "n", "N")] == [
                "loss",
                "loss_string",
                "n",
            ], "the last report alone has no text"
            assert str(frame["loss"].dtype) == "float64"


@pytest.mark.parametrize(
    ("sql", "notes"),
    [
        ("select count(*) from reports", []),
        ("select max(loss) from reports", ["loss (numbers in loss, truth values in loss_bool, texts in"]),
        ("select LOSS_STRING from trials", ["loss (numbers in loss, "]),
        ("select n_caps0 from trials", ["N and n (N_caps1, n_caps0)"]),
        ("select r.* from reports r", ["N and n (N_caps1, n_caps0)", "loss (numbers in loss, "]),
        (None, ["N and n (N_caps1, n_caps0)", "loss (numbers in loss, "]),
    ],
)
def test_columns_with_another_name_are_told_once(
    mixed: Path, sql: str | None, notes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    store = TrialStore(mixed)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            store.trials() if sql is None else store.sql(sql)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(notes)
    assert all(note in message for note, message in zip(notes, said, strict=True))


def test_a_note_on_hundreds_of_metrics_is_short() -> None:
    columns = metric_columns({f"m{i}": {NUMBER, TEXT} for i in range(300)})
    (note,) = metric_notes(columns)
    assert note.endswith("; and 292 more")
    assert len(note) < 600


def test_a_plain_name_that_two_metrics_share_is_refused_with_both_columns(mixed: Path) -> None:
    with pytest.raises(QueryError, match=r"Columns with a similar name: (N_caps1, n_caps0|n_caps0, N_caps1)"):
        TrialStore(mixed).sql("select n from reports")


def test_a_text_is_read_once_for_all_of_its_columns() -> None:
    """Else hundreds of metrics of thousands of reports run out of a query's memory."""
    typed = [JsonColumn(column=f"m{i}", text="metrics", key=f"m{i}", kind="double") for i in range(300)]
    assert select_with(["study"], typed, source="reports").count('json_transform("metrics"') == 1
    texts = [json.dumps({f"m{i}": i / 7 for i in range(300)})] * 4096
    tables = {"reports": pa.table({"metrics": texts})}
    limits = QueryLimits(memory_mib=320, threads=2)
    assert len(find_metrics(tables, {}, limits=limits)) == 300
