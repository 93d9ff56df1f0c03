"""A small table and its three forms: text for people, JSON and CSV for programs.

Text goes through rich, which fits the terminal; JSON and CSV hold every digit.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

FORMATS = ("table", "json", "csv")
PLAIN_WIDTH = 160
"""Columns of a table that is not written to a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Named columns and rows of plain values (None for missing)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""


def render(table: Table, form: str) -> str:
    """The table as text in one of `FORMATS`, ending in a newline."""
    if form == "json":
        records = [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.rows]
        return json.dumps(records, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([["" if (v := _plain(value)) is None else v for value in row] for row in table.rows])
        return text.getvalue()
    return _as_text(table)


def format_value(value: object) -> str:
    """One cell for people: four significant digits, thousands separated, a dash for missing."""
    value = _plain(value)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if 0.01 <= abs(value) < 1000 else f"{value:.4g}"
    return str(value)


def _as_text(table: Table) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(table.columns):
        numeric = all(isinstance(_plain(row[index]), int | float | None) for row in table.rows)
        drawn.add_column(
            name, justify="right" if numeric and table.rows else "left", overflow="fold", no_wrap=numeric
        )
    for row in table.rows:
        drawn.add_row(*(Text(format_value(value)) for value in row))
    on_terminal = Console()
    width = on_terminal.width if on_terminal.is_terminal else PLAIN_WIDTH
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        if table.title:  # rich's own titles are folded to the width of their table
            console.print(Text(table.title))
        console.print(drawn)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _plain(value: object) -> object:
    """A value as JSON knows it: NaN and NaT become None, NumPy scalars Python's, instants ISO text."""
    if hasattr(value, "item") and callable(value.item) and not isinstance(value, Sequence):
        value = value.item() if getattr(value, "size", 1) == 1 else list(value)  # type: ignore[call-overload]
    if value is None or value is pd.NA or value != value:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | dict) else str(value)
