"""Names that differ by case only: SQL takes them for one, so nobody may get another's values."""

from __future__ import annotations

import itertools
import json
import logging
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eml_models.errors import InvalidValueError
from eml_models.networks.family import ModelFamily, Option, OptionKind
from eml_models.networks.plan_builder import PlanBuilder
from eml_models.networks.registry import register_model, unregister_model
from eml_models.training.recipe import Recipe
from tune_jobs.errors import QueryError
from tune_jobs.inputs.point_files import read_points
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.queries import own_columns
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Choice, Constant, Float, Integer
from tune_jobs.study.rows import State, TrialRow, as_json_text
from tune_jobs.study.same_names import alike, fold, spelled
from tune_jobs.study.space import Space

NAMES = st.text(st.sampled_from("aAbB_1é"), min_size=1, max_size=4)


def test_a_space_may_not_hold_both() -> None:
    for pair in ((Integer("w", 1, 8), Integer("W", 1, 8)), (Float("lr", 0, 1), Constant("LR", 3))):
        with pytest.raises(InvalidValueError, match=r"differ by the case of letters only.*rename one"):
            Space(*pair)
    assert Space(Choice("É", (1, 2)), Choice("é", (1, 2))).names == ("É", "é")  # which SQL tells apart


def test_a_family_may_hold_both() -> None:
    def draw(net: PlanBuilder, *, w: int, W: int) -> None:
        net.conv_bn_act("stem", w + W)
        net.classifier()

    options = tuple(
        Option(name=n, kind=OptionKind.INTEGER, default=4, low=1, high=64, doc="") for n in ("w", "W")
    )
    register_model(ModelFamily(name="both", draw=draw, options=options))
    try:
        study = Study(
            name="s",
            space=Space(Integer("w", 1, 8)),
            recipe=Recipe(model="both", learning_rate=0.1, epochs=1),
        )
        assert study.recipe_for({"w": 3}, 0).model_options["w"] == 3
    finally:
        unregister_model("both")


@given(st.sets(NAMES, max_size=6))
def test_names_are_alike_where_duckdb_takes_them_for_one(names: set[str]) -> None:
    together = {frozenset(pair) for group in alike(names) for pair in itertools.combinations(group, 2)}
    for one, other in itertools.combinations(sorted(names), 2):
        sql = f'select * from (select 1 as "{one}") join (select 1 as "{other}") using ("{one}")'
        try:
            duckdb.sql(sql)
            same = True
        except duckdb.BinderException:
            same = False
        assert same == (frozenset((one, other)) in together)


@given(st.sets(NAMES, max_size=8))
def test_columns_differ_for_sql_and_follow_from_the_names(names: set[str]) -> None:
    columns = own_columns(names)
    assert len({fold(column) for column in columns.values()}) == len(names)
    one_for_sql = {name for group in alike(names) for name in group}
    assert all((columns[name] == f"param_{name}") == (name not in one_for_sql) for name in names)


def test_names_say_where_their_capitals_are() -> None:
    assert [spelled(name) for name in ("w", "W", "maxLR")] == ["w_caps0", "W_caps1", "maxLR_caps4_5"]
    assert own_columns(["Width", "my"]) == {"Width": "param_Width_caps1", "my": "param_my"}, (
        "width is shipped"
    )
    assert own_columns(["w", "W", "w_caps0"]) == {
        "w": "param_w_caps0_",
        "W": "param_W_caps1",
        "w_caps0": "param_w_caps0",
    }


@pytest.fixture
def store(tmp_path: Path) -> TrialStore:
    """Study `low` searches w, `high` W and Width; one trial of each."""
    path = tmp_path / "store"
    spaces = {"low": (Integer("w", 1, 8),), "high": (Integer("W", 1, 8), Choice("Width", ("a", "b")))}
    params = {"low": {"w": 3}, "high": {"W": 7, "Width": "b"}}
    for name, space in spaces.items():
        study = Study(name=name, space=Space(*space), recipe=Recipe(learning_rate=0.1, epochs=1))
        with StudyWriter.open(str(path), study, versions={}) as writer:
            writer.append_many([end_of(name, params[name])])
    return TrialStore(path)


def end_of(study: str, params: dict[str, object]) -> TrialRow:
    from datetime import UTC, datetime

    return TrialRow(
        study=study,
        trial_id=f"{study}/0",
        number=0,
        attempt=1,
        state=State.COMPLETED,
        reason="ran",
        params=as_json_text(params),
        seed=0,
        ended_at=datetime(2026, 11, 24, tzinfo=UTC),
    )


def test_each_has_its_own_values_in_the_views(store: TrialStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        frame = store.sql(
            "select study, param_w_caps0 as low, param_W_caps1 as high, param_Width_caps1 as wide,"
            " param_width from trials order by study desc"
        )
    cells = tuple(frame.astype(object).itertuples(index=False, name=None))
    rows = json.loads(render(Table(columns=tuple(frame.columns), rows=cells), "json"))
    assert rows == [
        {"study": "low", "low": 3, "high": None, "wide": None, "param_width": None},
        {"study": "high", "low": None, "high": 7, "wide": "b", "param_width": None},
    ]
    (message,) = [record.getMessage() for record in caplog.records]
    assert "W and w (param_W_caps1, param_w_caps0)" in message
    assert "Width and width (param_Width_caps1, param_width)" in message


@pytest.mark.parametrize("name", ["param_w", "param_W", '"param_W"', "PARAM_w"])
def test_a_name_that_may_be_two_is_refused_with_both(store: TrialStore, name: str) -> None:
    with pytest.raises(QueryError, match=r"Columns with a similar name: param_._caps") as caught:
        store.sql(f"select {name} from trials")
    assert "param_w_caps0" in str(caught.value)
    assert "param_W_caps1" in str(caught.value)


def test_the_warning_is_logged_once_and_only_where_it_matters(
    store: TrialStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        store.sql("select count(*) as n, max(objective * 2) from trials")
        assert caplog.records == []
        for sql in ("from trials", "select * from trials", "describe trials"):
            store.sql(sql)
    assert len(caplog.records) == 1


def test_frames_keep_the_names_and_points_come_back(store: TrialStore, tmp_path: Path) -> None:
    frame = store.trials()
    low = frame[frame["study"] == "low"].iloc[0]
    assert low["param_w"] == 3
    assert frame[frame["study"] == "high"].iloc[0]["param_W"] == 7
    assert store.param_column("w") == "param_w_caps0"
    assert store.param_column("optimizer") == "param_optimizer"
    (tmp_path / "p.csv").write_text("param_w_caps0\n3\n")
    assert read_points(str(tmp_path / "p.csv"), Space(Integer("w", 1, 8))) == [{"w": 3}]
