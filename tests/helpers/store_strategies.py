"""Any row of any table, for the property tests."""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from event_strategies import DETAIL
from hypothesis import strategies as st

from tune_jobs.store.columns.schema import columns_of
from tune_jobs.study.events import detail_as_json
from tune_jobs.study.json_fields import INT64_MAX, INT64_MIN, MAX_COUNT, MAX_SECONDS
from tune_jobs.study.rows import Decision, EventKind, Failure, Row, State, as_json_text, trial_id

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.integers(INT64_MIN, INT64_MAX)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])
INSTANTS = st.datetimes(datetime(1970, 1, 3), datetime(2261, 12, 29), timezones=ZONES)
COUNTS = st.integers(0, MAX_COUNT)
SECONDS = st.floats(0.0, MAX_SECONDS)
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
    Failure: st.sampled_from(Failure),
    Decision: st.sampled_from(Decision),
    EventKind: st.sampled_from(EventKind),
}
_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "reason": st.text(string.printable, min_size=1, max_size=20),
    "decision_reason": st.text(string.printable, min_size=1, max_size=20),
    "epoch": st.integers(1, 10**6),
    "params": PARAM_TEXTS,
    "seq": st.integers(1, INT64_MAX),
    "recipe": st.just("{}") | st.dictionaries(TEXT, FLOATS, max_size=2).map(as_json_text),
    "detail": DETAIL,
    "metrics": st.dictionaries(TEXT, FLOATS | TEXT | st.booleans() | st.none(), max_size=2).map(as_json_text),
    "objectives": st.dictionaries(TEXT, FLOATS | st.none(), max_size=2).map(as_json_text),
    **dict.fromkeys(("number", "attempt", "epochs", "best_epoch"), COUNTS),
    **dict.fromkeys(("duration_s", "epoch_s", "elapsed_s", "train_s", "wall_s", "device_s"), SECONDS),
}


def rows_of(row_type: Callable[..., Row], table: str) -> st.SearchStrategy[Row]:
    """Any row of a table."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for column in columns_of(table):
        values = _BY_NAME.get(column.name, _BY_TYPE[column.type])
        fields[column.name] = (
            values | st.none() if column.optional and column.name != "decision_reason" else values
        )
    return st.fixed_dictionaries(fields).map(lambda values: row_type(**_with_id(table, values)))


def _with_id(table: str, values: dict[str, Any]) -> dict[str, Any]:
    """A trial's rows carry the id that follows from the study and the number; an event's may be any.

    A failure is where a trial failed or an attempt ended, and nowhere else.
    """
    if table == "events":
        values = {**values, "kind": values["detail"].kind, "detail": detail_as_json(values["detail"])}
        return values if values["kind"] is EventKind.ATTEMPT_ENDED else {**values, "failure": None}
    if table == "trials":
        failure = values["failure"] or Failure.RAISED
        values = {**values, "failure": failure if values["state"] is State.FAILED else None}
    return {**values, "trial_id": trial_id(values["study"], values["number"])}
