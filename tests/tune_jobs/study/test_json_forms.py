"""Dataclasses to JSON and back: keys, missing values, and every problem of a damaged object."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.study.json_forms import (
    JSON_NAME,
    AnyParams,
    Count,
    Number,
    Seconds,
    Text,
    as_data,
    from_data,
    keys_of,
    list_of,
    one_of,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    params: AnyParams
    weight: Number | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    origin: Text = field(metadata={JSON_NAME: "from"})
    colour: Annotated[Colour, one_of(Colour)] = Colour.RED
    waited_s: Seconds | None = None
    parts: Annotated[tuple[Part, ...], list_of(Part, "a list of parts")] = ()
    count: Count = 0


WHOLE = Whole(
    origin="here", colour=Colour.BLUE, parts=(Part(params={"a": (1, 2)}), Part(params={}, weight=0.5))
)
DATA = {
    "from": "here",
    "count": 0,
    "colour": "blue",
    "parts": [{"params": {"a": [1, 2]}}, {"params": {}, "weight": 0.5}],
}


def test_keys_are_names_or_those_of_the_metadata() -> None:
    assert keys_of(Whole) == ("from", "colour", "waited_s", "parts", "count")


def test_dataclass_comes_back_from_its_data() -> None:
    data = json.loads(json.dumps(as_data(WHOLE)))
    assert data == DATA
    assert from_data(Whole, data) == WHOLE


def test_missing_and_null_values_take_the_default_and_other_keys_are_ignored() -> None:
    assert from_data(Whole, {"from": "x", "waited_s": None, "more": [1]}) == Whole(origin="x")
    assert from_data(Whole, {**DATA, "waited_s": 1}).waited_s == 1.0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "must be an object"),
        ({}, "from is missing"),
        ({"from": 1}, "from must be text, got 1"),
        ({"from": "x", "colour": "green"}, "colour must be one of red, blue, got 'green'"),
        ({"from": "x", "colour": None}, "colour must be one of red, blue, got None"),
        (
            {"from": "x", "waited_s": -1, "count": True},
            "waited_s must be seconds or null, got -1; count must be",
        ),
        ({"from": "x", "parts": [{"weight": 1}]}, "parts must be a list of parts, got a list of 1"),
    ],
)
def test_all_problems_of_an_object_are_shown(data: object, words: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        from_data(Whole, data)
    assert words in str(refused.value)
