"""JSON of rows as typed values: whatever the text is, a value of the right shape or an error of ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eml_models.errors import InvalidValueError
from tune_jobs.study.events import detail_from_json
from tune_jobs.study.json_fields import (
    MAX_DEPTH,
    objectives_from_json,
    params_from_json,
    parse_json,
    parse_object,
)
from tune_jobs.study.rows import EventKind

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_values_have_their_types() -> None:
    assert params_from_json('{"a":1,"b":0.5,"c":"x","d":[1,2],"e":true}') == {
        "a": 1,
        "b": 0.5,
        "c": "x",
        "d": (1, 2),
        "e": True,
    }
    assert objectives_from_json('{"val_accuracy":0.5,"macs":12,"latency_ms":null}') == {
        "val_accuracy": 0.5,
        "macs": 12,
    }


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1, 900, 1_000, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_text_may_be_nested_so_deep_and_no_deeper(levels: int, opens: str, closes: str) -> None:
    text = opens * levels + ("0" if opens != "[" else "") + closes * levels
    if levels <= MAX_DEPTH:
        assert parse_json(text) == json.loads(text)
    else:
        with pytest.raises(InvalidValueError, match=f"at most {MAX_DEPTH} levels"):
            parse_json(text)


@pytest.mark.parametrize(
    "text", ["", "NaN", "[Infinity]", "1e999", "9" * 5000, '"\\ud800"', "{'a':1}", '{"a":1', b"\xff", "\0"]
)
def test_what_is_no_json_is_an_error_of_ours(text: str | bytes) -> None:
    with pytest.raises(InvalidValueError, match="must be JSON"):
        parse_json(text)


@given(value=JSON, kind=st.sampled_from(EventKind))
@settings(max_examples=400, deadline=None)
def test_any_json_is_read_or_refused(value: object, kind: EventKind) -> None:
    text = json.dumps(value)
    for read in (
        parse_json,
        parse_object,
        params_from_json,
        objectives_from_json,
        lambda text: detail_from_json(kind, text),
    ):
        try:
            read(text)
        except InvalidValueError:
            continue


@given(text=st.text())
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_json(text)
    except InvalidValueError:
        return
    json.loads(text)
