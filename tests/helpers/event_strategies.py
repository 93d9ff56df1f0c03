"""Any detail of any event, for the property tests: what each type of its fields allows."""

from __future__ import annotations

import json
import types
import typing
from dataclasses import fields
from enum import StrEnum
from typing import Any

from hypothesis import strategies as st

from tune_jobs.study import json_forms
from tune_jobs.study.events import DETAILS, Detail
from tune_jobs.study.json_fields import INT64_MAX, INT64_MIN, MAX_COUNT, MAX_SECONDS

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
SCALARS = TEXT | FLOATS | st.booleans() | st.integers(INT64_MIN, INT64_MAX) | st.none()
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    json_forms.Text: TEXT,
    json_forms.Reason: st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    json_forms.Flag: st.booleans(),
    json_forms.Whole: st.integers(INT64_MIN, INT64_MAX),
    json_forms.Count: st.integers(0, MAX_COUNT - 1),
    json_forms.Epoch: st.integers(1, MAX_COUNT - 1),
    json_forms.Number: FLOATS,
    json_forms.Seconds: st.floats(0, MAX_SECONDS),
    json_forms.NumberOrText: FLOATS | TEXT,
    json_forms.AnyParams: st.dictionaries(
        TEXT, SCALARS | st.lists(SCALARS, max_size=3).map(tuple), max_size=3
    ),
    **dict.fromkeys(
        ("objectives", "costs"), st.dictionaries(TEXT, FLOATS | st.none(), max_size=2).map(json.dumps)
    ),
}


def any_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a dataclass of events."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{f.name: any_value(f.name, hints[f.name]) for f in fields(kind)})


def any_value(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return st.none() | any_value(name, typing.get_args(hint)[0])
    if (known := VALUES.get(hint, VALUES.get(name))) is not None:
        return known
    inner = typing.get_args(hint)[0]
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        return st.sampled_from(inner)
    return st.lists(any_of(typing.get_args(inner)[0]), max_size=3).map(tuple)


DETAIL: st.SearchStrategy[Detail] = st.one_of([any_of(kind) for kind in DETAILS.values()])
