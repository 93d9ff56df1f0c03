"""JSON of people: numbers as people write them, and nothing that is not clear."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eml_models.strict_json import NotJsonError, parse_json, parse_written


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[.5, 1., +0.5, -.5, +5, 1.e3, .5E-2]", [0.5, 1.0, 0.5, -0.5, 5, 1000.0, 0.005]),
        ('{"a.5": ".5", "+b": +.5}', {"a.5": ".5", "+b": 0.5}),
        (r'["a\".5", .5]', ['a".5', 0.5]),
        ("+1", 1),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: object) -> None:
    assert parse_written(text) == value


@pytest.mark.parametrize(
    "text", ["1+2", "1.2.3", "+-5", "++5", ".", "+", "-", "[1 .5]", ".e5", "1. 5", "1_0", "0.5.", "abc", "5f"]
)
def test_what_is_no_number_stays_refused_with_the_place_in_the_text(text: str) -> None:
    with pytest.raises(NotJsonError) as expected:
        parse_json(text)
    with pytest.raises(NotJsonError) as refused:
        parse_written(text)
    assert str(refused.value) == str(expected.value)


@given(st.recursive(st.text() | st.integers(-(2**63), 2**63) | st.booleans(), st.lists, max_leaves=5))
def test_json_is_read_as_json(value: object) -> None:
    assert parse_written(json.dumps(value)) == value
