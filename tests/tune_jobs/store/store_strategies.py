"""Any row of any table, for the property tests."""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from tune_jobs.store.params import INT64_MAX, INT64_MIN
from tune_jobs.store.schema import columns_of
from tune_jobs.trial import Decision, EventKind, Row, State, as_json_text

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.integers(INT64_MIN, INT64_MAX)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])
INSTANTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)
PARAM_VALUES = {
    "optimizer": TEXT,
    "learning_rate": FLOATS | st.integers(-(2**53), 2**53),
    "batch_size": NUMBERS,
    "widths": st.lists(FLOATS, max_size=3),
    "depths": st.lists(NUMBERS, max_size=3),
    "my_own": FLOATS | TEXT | st.none() | st.booleans(),
}
PARAM_TEXTS = st.fixed_dictionaries({}, optional=PARAM_VALUES).map(as_json_text)
_BY_TYPE: dict[type, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: NUMBERS,
    float: FLOATS,
    bool: st.booleans(),
    datetime: INSTANTS,
    State: st.sampled_from(State),
    Decision: st.sampled_from(Decision),
    EventKind: st.sampled_from(EventKind),
}
_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "reason": st.text(string.printable, min_size=1, max_size=20),
    "decision_reason": st.text(string.printable, min_size=1, max_size=20),
    "epoch": st.integers(1, 10**6),
    "params": PARAM_TEXTS,
}


def rows_of(row_type: Callable[..., Row], table: str) -> st.SearchStrategy[Row]:
    """Any row of a table."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for column in columns_of(table):
        values = _BY_NAME.get(column.name, _BY_TYPE[column.type])
        fields[column.name] = (
            values | st.none() if column.optional and column.name != "decision_reason" else values
        )
    return st.fixed_dictionaries(fields).map(lambda values: row_type(**values))
