"""Texts of CSV and of options, read by the type of their parameter."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.study.param_texts import as_whole, read_text
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter

NUMBER, WHOLE = Float("x", 0, 1e9), Integer("x", 0, 10**9)
TAGS = Choice("x", ("null", "1e5", "true", " padded", "plain"))
MIXED = Choice("x", (2, "2", 0.5, True, "a"))


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (NUMBER, "0.5", 0.5),
        (NUMBER, " 1e-3 ", 1e-3),
        (NUMBER, "1,500", 1500),
        (NUMBER, "fast", "fast"),
        (WHOLE, "32", 32),
        (WHOLE, "32.0", 32),
        (WHOLE, "1e2", 100),
        (WHOLE, "0.5", 0.5),
        (TAGS, "null", "null"),
        (TAGS, "1e5", "1e5"),
        (TAGS, "true", "true"),
        (TAGS, " plain ", "plain"),
        (TAGS, '"plain"', "plain"),
        (TAGS, " padded", " padded"),
        (TAGS, "NULL", "NULL"),
        (MIXED, "0.50", 0.5),
        (MIXED, "TRUE", True),
        (MIXED, "a", "a"),
        (Constant("x", (1, 2.5)), "[1, 2.5]", (1, 2.5)),
        (Constant("x", (1, 2.5)), "[1,", "[1,"),
        (Constant("x", (0.5, 1.0)), "[.5, +1.]", (0.5, 1.0)),
        (NUMBER, ".5", 0.5),
        (NUMBER, "+1.", 1.0),
        (WHOLE, "+32.", 32),
        (MIXED, "+.5", 0.5),
        (Constant("x", 16), "16.0", 16),
    ],
)
def test_the_parameter_decides_what_a_text_means(parameter: Parameter, text: str, value: object) -> None:
    found = read_text(parameter, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("parameter", "text", "words"),
    [
        (NUMBER, "0,5", "a decimal comma is written as a point"),
        (WHOLE, "1_5", "group three digits"),
        (MIXED, "2", "'2' may mean 2 or '2'; write it as JSON"),
    ],
)
def test_a_text_with_two_meanings_is_refused(parameter: Parameter, text: str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        read_text(parameter, text)


@pytest.mark.parametrize(
    ("value", "whole"), [(32.0, 32), (0.5, 0.5), (2.0**53, 2.0**53), ("32.0", "32.0"), (None, None), (7, 7)]
)
def test_whole_floats_become_whole_numbers(value: object, whole: object) -> None:
    assert as_whole(value) == whole
    assert type(as_whole(value)) is type(whole)
