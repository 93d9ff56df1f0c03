"""Values of rows and SQL as JSON and CSV can hold them, with every digit; other types become text.

Instants, spans and bytes are written as DuckDB writes and reads them (instants with a T). Called by `render`
and `text`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

import pandas as pd

QUOTED = re.compile(r'[",\r\n]|^\s|\s$')
"""Matches a text that needs quotes in a cell of CSV."""


def plain(value: object) -> object:
    """A value as JSON can hold it: NaN and NaT become None, NumPy scalars Python's, all else lists or text.

    A decimal becomes a number if a float has all its digits, else text.
    """
    if hasattr(value, "item") and callable(value.item) and not isinstance(value, Sequence):
        value = list(value) if getattr(value, "shape", ()) else value.item()  # type: ignore[call-overload]
    if value is None or value is pd.NA or value != value:
        return None
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return _as_scalar(value)


def csv_line(values: Iterable[object]) -> str:
    """A line of CSV. None becomes an empty cell, an empty text a pair of quotes, a list or struct JSON.

    Python's own writer leaves a carriage return without quotes, and readers then end the row there.
    """
    cells = [_csv_cell(plain(value)) for value in values]
    return (",".join(cells) if cells != [""] else '""') + "\n"  # readers skip a blank line


def nested_text(value: object) -> str:
    """A plain value as text; a list or struct as JSON."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    text = nested_text(value)
    if text and not QUOTED.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _as_scalar(value: object) -> object:
    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(repr(number)) == value else f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, pd.DateOffset):
        return _span_text(value)
    if isinstance(value, bytes):
        return "".join(chr(b) if 32 <= b < 127 and b not in b"\"'\\" else f"\\x{b:02X}" for b in value)
    return str(value)


def _span_text(span: pd.DateOffset) -> str:
    """A span of time as DuckDB writes and reads it: ``1 day 00:02:10.221243``."""
    counts = [(unit, span.kwds.get(f"{unit}s", 0)) for unit in ("month", "day")]
    dates = [f"{n} {unit}{'' if n == 1 else 's'}" for unit, n in counts if n]
    microseconds = span.kwds.get("nanoseconds", 0) // 1000
    minutes, rest = divmod(abs(microseconds), 60 * 10**6)
    seconds = f"{rest // 10**6:02d}" + (f".{rest % 10**6:06d}" if rest % 10**6 else "")
    time = f"{'-' if microseconds < 0 else ''}{minutes // 60:02d}:{minutes % 60:02d}:{seconds}"
    return " ".join([*dates, *([time] if microseconds or not dates else [])])
