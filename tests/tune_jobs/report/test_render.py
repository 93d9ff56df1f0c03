"""One table in its three forms."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pandas as pd

from tune_jobs.report.render import render
from tune_jobs.report.tables import Table

TABLE = Table(
    title="all kinds",
    columns=("name", "count", "value"),
    rows=(("a", np.int64(1234), 0.123456789), ("b, c", None, math.nan), ("d", pd.NA, np.float64(1e-9))),
)


def test_json_and_csv_hold_every_digit_and_missing_as_missing() -> None:
    assert json.loads(render(TABLE, "json")) == [
        {"name": "a", "count": 1234, "value": 0.123456789},
        {"name": "b, c", "count": None, "value": None},
        {"name": "d", "count": None, "value": 1e-9},
    ]
    assert list(csv.reader(io.StringIO(render(TABLE, "csv")))) == [
        ["name", "count", "value"],
        ["a", "1234", "0.123456789"],
        ["b, c", "", ""],
        ["d", "", "1e-09"],
    ]
