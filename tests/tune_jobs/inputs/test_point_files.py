"""Points are read as they were written, or refused: nothing is dropped, rounded, or drawn in its place."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eml_models.errors import InvalidValueError
from tune_jobs.inputs.csv_cells import read_csv
from tune_jobs.inputs.point_files import read_points
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.study.param_texts import read_text
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, When
from tune_jobs.study.space import Space

TAGS = (
    "null",
    "1e5",
    "true",
    "1",
    "plain",
    "",
    " blank ",
    "a,b",
    'say "so"',
    "two\nlines",
    "cr\rhere",
    "\u2028ü",
)
SPACE = Space(
    Float("x", -1e9, 1e9),
    Integer("w", -(2**62), 2**62),
    Choice("flag", (True, False)),
    Choice("tag", TAGS),
    Choice("size", (16, 32, 0.5)),
    Constant("sizes", (1, 2)),
    Constant("words", ("a", "null", "b,c")),
    Float("momentum", 0, 1, when=When("flag", (True,))),
)
POINT = {
    "x": 0.1,
    "w": 3,
    "flag": False,
    "tag": "null",
    "size": 32,
    "sizes": (1, 2),
    "words": ("a", "null", "b,c"),
}


def read(
    path: Path, text: str | bytes, space: Space = SPACE, name: str = "points.csv"
) -> list[dict[str, Any]]:
    file = path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_points(str(file), space)  # type: ignore[return-value]  # their values are of any type here


def written(points: list[dict[str, Any]], form: str, prefix: str = "param_") -> str:
    """Points as `query` prints the columns of a store."""
    names = SPACE.names
    rows = tuple(tuple(point.get(name) for name in names) for point in points)
    return render(Table(columns=tuple(prefix + name for name in names), rows=rows), form)


POINTS = st.fixed_dictionaries(
    {
        "x": st.floats(-1e9, 1e9),
        "w": st.integers(-(2**62), 2**62),
        "flag": st.just(True),
        "tag": st.sampled_from(TAGS),
        "size": st.sampled_from((16, 32, 0.5)),
        "sizes": st.just((1, 2)),
        "words": st.just(("a", "null", "b,c")),
    },
    optional={"momentum": st.floats(0, 1)},
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(POINTS, min_size=1, max_size=3),
    st.sampled_from(["csv", "json"]),
    st.sampled_from(["param_", ""]),
)
def test_what_our_tables_write_comes_back_as_it_was(
    tmp_path: Path, points: list[dict[str, Any]], form: str, prefix: str
) -> None:
    assert read(tmp_path, written(points, form, prefix), name=f"points.{form}") == points


@pytest.mark.parametrize("form", ["csv", "json"])
def test_rows_with_params_come_back_and_contradictions_are_refused(tmp_path: Path, form: str) -> None:
    def rows(x: float) -> str:
        columns = ("trial", "epochs", "params", "network", "param_x", "param_flag")
        cells = (0, 3, json.dumps(POINT), "small_cnn", x, False)
        return render(Table(columns=columns, rows=(cells,)), form)

    assert read(tmp_path, rows(0.1), name=f"p.{form}") == [POINT]
    with pytest.raises(InvalidValueError, match=r"param_x is 0\.2, and x in params 0\.1; make them equal"):
        read(tmp_path, rows(0.2), name=f"p.{form}")


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        *((Choice("p", TAGS), tag, tag) for tag in TAGS),
        (Choice("p", ("1", "2")), " 1 ", "1"),
        (Choice("p", ("adam",)), '"adam"', "adam"),
        (Choice("p", (True, False)), "False", False),
        (Choice("p", (True, False)), "true", True),
        (Choice("p", (True, False)), "1", "1"),
        (Choice("p", (16, 32)), "16.0", 16),
        (Choice("p", (0.1, 0.2)), "1e-1", 0.1),
        (Choice("p", (1, 2)), "true", "true"),
        (Float("p", 0, 1e6), "1e5", 1e5),
        (Float("p", 0, 10), "2", 2),
        (Float("p", 0, 10), "null", "null"),
        (Float("p", 0, 10), "nan", "nan"),
        (Integer("p", 0, 10), "3.0", 3),
        (Integer("p", 0, 2**62), str(2**53 + 1), 2**53 + 1),
        (Integer("p", 0, 2**62), "3.5", 3.5),
        (Constant("p", 7), "7", 7),
        (Constant("p", "7"), "7", "7"),
        (Constant("p", True), "True", True),
        (Constant("p", (1.5, 2.0)), "[1.5, 2]", (1.5, 2)),
    ],
)
def test_a_text_is_read_by_the_parameters_own_type(parameter: Parameter, text: str, value: object) -> None:
    found = read_text(parameter, text)
    assert found == value
    assert type(found) is type(value)


def test_a_text_that_may_be_two_values_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"'1' may mean '1' or 1; write it as JSON"):
        read_text(Choice("p", ("1", 1)), "1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x\n2,5\n", "line 2 has 2 cells, the header has 1\n  - write numbers with a decimal point"),
        ("x,w\n1\n", "line 2 has 1 cells, the header has 2"),
        ("x,w\n1,2\n\n0.5,1,\n", "line 4 has 3 cells"),
        ('x\n"2,5"\n', r"x: .* got '2,5'; a decimal comma is written as a point \('2\.5'\)"),
        ("x\n1_5\n", "x: .*commas or underscores group three digits"),
        ("x,x\n1,2\n", "two columns are called 'x'"),
        ("x,param_x\n1,2\n", "x is there twice, as param_x too"),
        ("x;w\n1;2\n", "cells must be separated by commas, got 'x;w'"),
        ("x\n\n", "it holds no points"),
        ("", "it holds no points"),
        ("x,w\n,\n", "point 1: it names no parameter"),
        ('x\n""\n', "point 1: it names no parameter"),
        ("x,\n1,2\n", "column 2 has no name"),
        ('x,tag\n1,"plain\n', "line 2 is no CSV"),
        ('x,tag\n1,pl"ain\n', "line 2 is no CSV"),
        ("x\nnull\n", r"x must be a finite number .* got 'null'"),
        ("x\nNaN\n", r"x must be a finite number .* got 'NaN'"),
        ("x\n" + "9" * 5000 + "\n", "x must be a finite number in .* thousands of digits"),
        ("x\n" + "9" * 30 + "\n", r"x must be in \[-1e\+09, 1e\+09\], got 9999"),
        ("w\n" + "9" * 5000 + "\n", "w must be in .* thousands of digits"),
        ("tag\nother\n", "tag must be one of"),
        ("flag\nyes\n", "flag must be one of"),
        ("X\n1\n", "X: not in this space; known: x, w"),
        ("x\n" + "1e400\n", "x: a number must be within"),
        (b"x\n\xff\xfe\n", "cannot be read"),
        (b"x\x00\n1\n", "not in this space"),
        ("params\n" + "[" * 100_000 + "\n", "its params are no JSON|nested at most 32 deep|no JSON"),
    ],
)
def test_a_file_of_csv_that_says_something_else_is_refused(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        read(tmp_path, text)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"x": 1, "x": 2}', "an object has the name 'x' twice"),
        ('{"params": {"x": 1, "x": 2}}', "an object has the name 'x' twice"),
        ('{"params": "{\\"x\\": 1, \\"x\\": 2}"}', "point 1: an object has the name 'x' twice"),
        ('{"x": NaN}', "a number must be finite, got NaN"),
        ('{"x": -Infinity}', "a number must be finite, got -Infinity"),
        ('{"x": 1e400}', r"a number must be within \+-1\.8e308"),
        ('{"x": ' + "9" * 5000 + "}", "a whole number has at most 40 digits"),
        ('{"w": ' + "9" * 20 + "}", "a whole number must fit in 64 bits"),
        ("[" * 100_000, "nested at most 32 deep|no JSON"),
        ("[" * 100_000 + "]" * 100_000, "nested at most 32 deep"),
        ('{"x": ' + "[" * 900 + "]" * 900 + "}", "nested at most 32 deep"),
        ('{"x": [[1]]}', "x: a value is a text, a number, .* got a list of lists"),
        ('{"x": {"a": 1}}', "x: a value is .* got an object"),
        ('{"params": {"x": null}}', "x: a value is .* got null"),
        ('{"params": ' + json.dumps("[" * 100_000) + "}", "nested at most 32 deep|no JSON"),
        ('{"params": 3}', "its params must be a JSON object, got 3"),
        ("{}", "point 1: it names no parameter"),
        ('[{"x": 1}, {}]', "point 2: it names no parameter"),
        ('{"x": null}', "point 1: it names no parameter"),
        ('{"x": "1"}', "x must be a finite number .* got '1'"),
        ('{"tag": 1}', "tag must be one of"),
        ('{"flag": 1}', "flag must be one of"),
        ('{"\\ud800": 1}', "not in this space"),
        ("null", "a point is an object, got None"),
        ('"x"', "a point is an object, got 'x'"),
        ("[[]]", r"a point is an object, got \[\]"),
        ('{"x": 1}\n{"x"', "is no JSON"),
        ('{"x": 1}\n{"x": 1, "x": 2}', "an object has the name 'x' twice"),
    ],
)
def test_a_file_of_json_that_says_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        read(tmp_path, text, name="points.json")
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bom.csv", "\ufeffx,tag\n0.5,null\n"),
        ("crlf.csv", "x,tag\r\n0.5,null\r\n"),
        ("cr.csv", "x,tag\r0.5,null"),
        ("index.csv", ",x,tag\n0,0.5,null\n"),
        ("blank.csv", "\nx,tag\n\n0.5,null\n\n"),
        ("left_out.csv", "x,w,tag\n0.5,,null\n"),
        ("table.csv", "number,state,epochs,param_x,param_tag\n3,completed,9,0.5,null\n"),
        ("UPPER.CSV", "x,tag\n0.5,null\n"),
        ("bom.json", '\ufeff[{"x": 0.5, "tag": "null"}]'),
        ("crlf.jsonl", '{"x": 0.5, "tag": "null"}\r\n\r\n'),
        ("null.json", '{"x": 0.5, "tag": "null", "w": null}'),
        ("table.json", '{"number": 3, "objective": 0.5, "param_x": 0.5, "param_tag": "null"}'),
    ],
)
def test_files_of_other_programs_are_read(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, text, name=name) == [{"x": 0.5, "tag": "null"}]


def test_lines_of_json_may_hold_what_python_takes_for_line_breaks(tmp_path: Path) -> None:
    assert read(tmp_path, '{"tag": "\u2028ü"}\n{"x": 1}', name="p.jsonl") == [{"tag": "\u2028ü"}, {"x": 1.0}]


def test_a_parameter_called_like_a_column_needs_its_prefix_in_a_table(tmp_path: Path) -> None:
    """`epochs` of a trial's row are those that it trained, not those that it was to train."""
    space = Space(Choice("epochs", (1, 3, 9)), Float("x", 0, 1))
    table = "epochs,param_epochs,param_x\n1,9,0.5\n"
    assert read(tmp_path, table, space) == [{"epochs": 9, "x": 0.5}]
    assert read(tmp_path, "epochs,x\n9,0.5\n", space) == [{"epochs": 9, "x": 0.5}]
    with pytest.raises(InvalidValueError, match="epochs may be the table's column or the parameter"):
        read(tmp_path, "epochs,param_x\n1,0.5\n", space)


def test_parameters_with_odd_names_are_themselves(tmp_path: Path) -> None:
    space = Space(Float("param_x", 0, 1), Choice("params", ("a", "{}")))
    assert read(tmp_path, "param_x,params\n0.5,a\n", space) == [{"param_x": 0.5, "params": "a"}]
    assert read(tmp_path, "param_param_x\n0.5\n", space) == [{"param_x": 0.5}]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(deadline=None)
def test_no_text_ends_in_a_traceback(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    for name in ("p.csv", "p.json"):
        with suppress(InvalidValueError):
            read(tmp_path_factory.getbasetemp(), text, name=name)
    with suppress(InvalidValueError):
        read_csv(text)


CELLS = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), min_size=0, max_size=8))


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=4)
    )
)
@settings(deadline=None)
def test_csv_comes_back_cell_by_cell(rows: list[list[str | None]]) -> None:
    columns = tuple(f"c{index}" for index in range(len(rows[0])))
    found = read_csv(render(Table(columns=columns, rows=tuple(map(tuple, rows))), "csv"))
    if len(columns) == 1:  # where a line of nothing would be none, null is written as an empty text
        rows = [[cell or ""] for (cell,) in rows]
    assert [list(row.values()) for row in found] == rows


CONDITIONAL = Space(
    Choice("optimizer", ("sgd", "adam")),
    Float("momentum", 0.0, 0.9, when=When("optimizer", ("sgd",))),
    Choice("nesterov", (True, False), when=When("momentum", (0.5, 0.9))),
    Constant("batch_size", 32),
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.json", '[{"optimizer": "sgd", "momentum": 0.5}, {"optimizer": "adam"}]'),
        ("lines.jsonl", '{"optimizer": "sgd", "momentum": 0.5}\n{"optimizer": "adam"}\n'),
        (
            "rows.json",
            '[{"params": "{\\"optimizer\\":\\"sgd\\",\\"momentum\\":0.5}"}, {"optimizer": "adam"}]',
        ),
        ("table.csv", "optimizer,momentum\nsgd,0.5\nadam,\n"),
        ("columns.csv", "param_optimizer,param_momentum\nsgd,0.5\nadam,\n"),
    ],
)
def test_points_are_read_from_json_and_csv(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    points = read_points(str(tmp_path / name), CONDITIONAL)
    assert points == [{"optimizer": "sgd", "momentum": 0.5}, {"optimizer": "adam"}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[{"optimizr": "sgd"}]',
            "point 1: optimizr: not in this space; known: optimizer, momentum, nesterov, batch_size",
        ),
        (
            '[{"optimizer": "adam", "momentum": 0.5}]',
            r"momentum applies only where optimizer is one of \['sgd'\]",
        ),
        ('[{"optimizer": "sgd"}, {"momentum": 7}]', r"point 2: momentum must be in \[0, 0.9\], got 7"),
        ('[{"batch_size": 64}]', "batch_size is fixed at 32, got 64"),
        (
            '[{"nesterov": true}]',
            r"nesterov applies only where momentum is one of \[0.5, 0.9\]; give momentum",
        ),
        ("[]", "it holds no points"),
        ("[1]", "a point is an object, got 1"),
        ("{", "is no JSON"),
        ('[{"params": "x"}]', "its params must be a JSON object"),
    ],
)
def test_bad_points_are_all_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "points.json").write_text(text)
    with pytest.raises(InvalidValueError, match=problem):
        read_points(str(tmp_path / "points.json"), CONDITIONAL)


def test_missing_file_of_points_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"nowhere\.json"):
        read_points(str(tmp_path / "nowhere.json"), CONDITIONAL)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", 'x,w,size,sizes\n.5,+3.,+.5,"[1., +2]"\n'),
        ("p.json", '[{"x": .5, "w": +3., "size": .5, "sizes": [1., +2]}]'),
        ("p.jsonl", '{"x": +.5, "w": 3., "size": .5, "sizes": [+1, 2.]}\n'),
    ],
)
def test_numbers_are_read_as_people_write_them(tmp_path: Path, name: str, text: str) -> None:
    (point,) = read(tmp_path, text, name=name)
    assert point == {"x": 0.5, "w": 3, "size": 0.5, "sizes": (1, 2)}
