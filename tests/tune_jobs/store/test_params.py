"""The type of each parameter in a store, by its space, and the values that a column takes."""

from __future__ import annotations

import typing

import pytest
from store_testing import integer, make_study

from eml_models.errors import InvalidValueError
from tune_jobs.store.columns.params import conflicts, param_types, typed_params
from tune_jobs.study.parameters import Choice, Constant, Float, Integer
from tune_jobs.study.space import Space


def test_param_types_follow_from_the_space() -> None:
    space = Space(
        Float("a", 0, 1),
        Integer("b", 1, 2),
        Choice("c", ("x", "y")),
        Choice("d", (True, False)),
        Choice("e", (1, 2.5)),
        Constant("f", (1.0, 2)),
        Constant("g", ()),
        Integer("expansion", 1, 6),
        Constant("widths", (16, 32)),
    )
    assert param_types(space) == {
        "a": "double",
        "b": "int64",
        "c": "string",
        "d": "bool",
        "e": "double",
        "f": "list<double>",
        "g": "list<double>",
        "expansion": "double",
        "widths": "list<double>",
    }


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (Choice("x", ("auto", 1)), "'x' mixes int64 and string in ['auto', 1]; use one type"),
        (Choice("x", (True, 2)), "'x' mixes bool and int64"),
        (
            Choice("batch_size", ("all", "half")),
            "'batch_size' is int64 in every store, got string",
        ),
        (Float("batch_size", 1, 2), "'batch_size' is int64 in every store, got double"),
        (Constant("x", 2**63), "must fit in 64 bits, got 9223372036854775808"),
    ],
)
def test_param_types_refuse_what_no_column_can_hold(parameter: typing.Any, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        param_types(Space(parameter))
    assert message in str(caught.value)


def test_conflicts_name_both_sides() -> None:
    other = param_types(make_study("other", Float("x", 0, 1)).space)
    assert conflicts("mine", param_types(Space(integer("x"))), {"other": other}) == [
        "parameter 'x' is int64 in study 'mine' but double in study 'other'"
    ]
    assert conflicts("mine", other, {"other": other}) == []


def test_typed_params_hold_whole_numbers_as_floats_and_leave_other_types_out() -> None:
    assert typed_params('{"learning_rate":1,"widths":[1,2.5],"own":"x","momentum":null}') == {
        "learning_rate": 1.0,
        "widths": [1.0, 2.5],
        "momentum": None,
    }
    others = ('{"learning_rate":"x"}', '{"batch_size":1.5}', '{"batch_size":true}', '{"widths":1}')
    assert [typed_params(text) for text in others] == [{}] * 4
    for text in ("[]", "{"):
        with pytest.raises(InvalidValueError, match="params"):
            typed_params(text)
