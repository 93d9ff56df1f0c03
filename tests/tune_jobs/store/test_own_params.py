"""Params of own training with the name of a shipped param and another type: columns, queries and frames."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from eml_models.errors import InvalidValueError
from tune_jobs import Choice, Float, Integer, Maximize, Space, Study, TrialStore
from tune_jobs.inputs.point_files import read_points
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.session.state_machine import Session
from tune_jobs.store.columns.params import OwnParam, own_params_of, param_types
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.parameters import Parameter
from tune_jobs.testing.in_process import own_reports, play

MOMENTUM = Choice("momentum", ("heavy", "light"))


def own(name: str, *space: Parameter) -> Study:
    return Study(
        name=name,
        space=Space(*space),
        train=lambda params, run: {"iou": 0.5},
        objectives=(Maximize("iou"),),
        epochs=1,
        trials=3,
        asha=None,
    )


def train_into(path: Path, study: Study) -> None:
    with StudyWriter.open(str(path), study, versions={}) as log:
        play(Session(study, log), own_reports(study))


@pytest.fixture
def store(tmp_path: Path) -> TrialStore:
    """Momentum as text in one study and as a number in another; epochs and model as the user likes."""
    path = tmp_path / "trials"
    train_into(path, own("texts", MOMENTUM, Integer("epochs", 1, 4), Choice("model", ("unet", "fcn"))))
    train_into(path, own("numbers", Float("momentum", 0.1, 0.9), Choice("width", (0.5, 2.0))))
    train_into(path, own("whole", Integer("width", 4, 8)))
    return TrialStore(path)


def test_a_shipped_study_keeps_the_types_of_its_columns() -> None:
    with pytest.raises(InvalidValueError, match="'momentum' is double in every store, got string"):
        param_types(Space(MOMENTUM))
    assert param_types(Space(MOMENTUM), own=True) == {"momentum": "string"}


def test_numbers_that_would_fill_a_part_of_a_column_are_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"'width' mixes whole and other numbers.*such as 1\.0"):
        param_types(Space(Choice("width", (1, 2.5))), own=True)


def test_values_of_another_type_are_null_in_files_and_have_a_column_in_queries(store: TrialStore) -> None:
    columns = (
        "param_momentum, param_momentum_string, param_width, param_epochs, param_model, param_width_double"
    )
    found = store.sql(f"select study, {columns} from trials").set_index("study")
    texts, numbers = found.loc["texts"], found.loc["numbers"]
    assert texts["param_momentum"].isna().all()
    assert set(texts["param_momentum_string"]) <= {"heavy", "light"}
    assert texts["param_epochs"].between(1, 4).all()
    assert set(texts["param_model"]) <= {"unet", "fcn"}
    assert numbers["param_momentum"].between(0.1, 0.9).all()
    assert numbers["param_momentum_string"].isna().all()
    assert set(numbers["param_width_double"]) <= {0.5, 2.0}
    assert numbers["param_width"].isna().all()
    assert found.loc["whole", "param_width"].between(4, 8).all()
    assert found.loc["whole", "param_width_double"].isna().all()


def test_plain_readers_have_them_in_params(store: TrialStore) -> None:
    files = ds.dataset(str(Path(store.path) / "trials"), partitioning=None).to_table().to_pylist()
    mine = [row for row in files if row["study"] == "texts"]
    assert {row["param_momentum"] for row in mine} <= {None}
    assert all('"momentum":"' in row["params"] for row in mine)


def test_frames_have_the_same_columns(store: TrialStore) -> None:
    frame = store.trials("texts")
    assert set(frame["param_momentum_string"]) <= {"heavy", "light"}
    whole = store.trials().set_index("study")
    assert whole.loc["numbers", "param_momentum_string"].isna().all()
    assert whole.loc["texts", "param_width_double"].isna().all()
    assert set(store.starts("texts")["param_momentum_string"]) <= {"heavy", "light"}


def test_a_query_for_the_name_says_where_the_others_are(
    store: TrialStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        store.sql("select param_model from trials")
        assert caplog.records == []
        store.sql("select PARAM_momentum from trials")
    (message,) = [record.getMessage() for record in caplog.records]
    assert "momentum of type string (param_momentum_string)" in message
    assert store.param_column("momentum", study="texts") == "param_momentum_string"
    assert store.param_column("momentum", study="numbers") == "param_momentum"


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_printed_table_is_read_again_as_points(store: TrialStore, tmp_path: Path, form: str) -> None:
    found = store.sql("select param_momentum_string, param_epochs from trials where study = 'texts'")
    cells = tuple(found.astype(object).itertuples(index=False, name=None))
    file = tmp_path / f"points.{form}"
    file.write_text(render(Table(columns=tuple(found.columns), rows=cells), form))
    points = read_points(str(file), Space(MOMENTUM, Integer("epochs", 1, 4)))
    assert [point["momentum"] for point in points] == list(found["param_momentum_string"])


@pytest.mark.parametrize(
    ("studies", "columns"),
    [
        ([{"momentum": "double", "lr": "double"}], {"lr": "lr"}),
        (
            [{"momentum": "string"}, {"momentum": "bool"}],
            {"momentum_bool": "momentum", "momentum_string": "momentum"},
        ),
        ([{"widths": "list<string>"}], {"widths_list_string": "widths"}),
        (
            [{"momentum": "string"}, {"momentum_string": "double"}],
            {"momentum_string": "momentum_string", "momentum_string_": "momentum"},
        ),
    ],
)
def test_columns_follow_from_names_and_types(studies: list[dict[str, str]], columns: dict[str, str]) -> None:
    found: dict[str, Any] = own_params_of(studies)
    assert {column: param.name for column, param in found.items()} == columns
    assert all(isinstance(param, OwnParam) for param in found.values())
