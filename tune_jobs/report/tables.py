"""A small table and its three forms: text for people, JSON and CSV for programs.

Text goes through rich, which fits the terminal; JSON and CSV hold every digit.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

FORMATS = ("table", "json", "csv")
PLAIN_WIDTH = 160
"""Columns of a table that is not written to a terminal."""

MOST_WIDTH = 1000
"""No row of short cells is longer."""

GAP = "   "
"""What rich draws between columns."""

MOST_KEY = 40
"""Characters of what a row begins with, which is not broken: it is what people look for."""

INDENT = "    "
WORD = re.compile(r"\S+\s*")
WORD_OR_COMMA = re.compile(r"[^\s,]*,\s*|[^\s,]+\s*")
"""The same, broken behind commas too: words that name a network are read back with such breaks in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Named columns and rows of plain values (None for missing).

    Attributes:
        below: the columns whose cells are long text: for people they stand on lines of their own under their
            row, where they do not fit beside it.
        note: what people are told under the title.
        empty: what people are told where there is no row.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""
    below: tuple[str, ...] = ()
    note: str = ""
    empty: str = "no rows"


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
    from rich.console import Console

    on_terminal = Console()
    width = on_terminal.width if on_terminal.is_terminal else PLAIN_WIDTH
    head = [*_wrapped(table.title, width), *_wrapped(table.note, width)]
    if not table.rows:
        return "\n".join([*head, *_draw(table, width)[:-1], *_wrapped(table.empty, width), ""]) + "\n"
    below = [name for name in table.columns if name in table.below]
    if below and not _fits(table, width):
        return "\n".join([*head, *_draw_over_lines(table, below, width)]) + "\n"
    return "\n".join([*head, *_draw(table, width)]) + "\n"


def _fits(table: Table, width: int) -> bool:
    """Whether every row has room on one line."""
    longest = (
        max(len(name), *(len(format_value(row[index])) for row in table.rows))
        for index, name in enumerate(table.columns)
    )
    return sum(longest) + len(GAP) * len(table.columns) <= width


def _draw_over_lines(table: Table, below: Sequence[str], width: int) -> Iterator[str]:
    """Each row on one line, with what stands below it underneath."""
    kept = [index for index, name in enumerate(table.columns) if name not in below]
    rows = tuple(tuple(row[index] for index in kept) for row in table.rows)
    short = Table(columns=tuple(table.columns[index] for index in kept), rows=rows)
    drawn = _draw(short, max(width, MOST_WIDTH))[:-1]  # a row is one line; a narrow terminal wraps it
    blocks = [
        [line, *_iter_below(table, row, below, width)]
        for line, row in zip(drawn[-len(rows) :], table.rows, strict=True)
    ]
    spaced = any(len(block) > 2 for block in blocks)
    yield from drawn[: -len(rows)]
    for block in blocks:
        yield from block
        if spaced:
            yield ""
    if not spaced:
        yield ""


def _iter_below(table: Table, row: Sequence[object], below: Sequence[str], width: int) -> Iterator[str]:
    for name in below:
        for text in str(row[table.columns.index(name)] or "").splitlines():
            yield from _wrapped(text, width, INDENT, at=WORD_OR_COMMA)


def _wrapped(text: str, width: int, indent: str = "", *, at: re.Pattern[str] = WORD) -> list[str]:
    """Lines of at most that width; only a word that is longer makes a longer one."""
    lines: list[str] = []
    for word in at.findall(text):
        if lines and len(indent) + len((lines[-1] + word).rstrip()) <= width:
            lines[-1] += word
        else:
            lines.append(word)
    return [indent + line.rstrip() for line in lines]


def _draw(table: Table, width: int) -> list[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(table.columns):
        numeric = all(isinstance(_plain(row[index]), int | float | None) for row in table.rows)
        short = not index and all(len(format_value(row[index])) <= MOST_KEY for row in table.rows)
        drawn.add_column(
            name, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric or short
        )
    for row in table.rows:
        drawn.add_row(*(Text(format_value(value)) for value in row))
    least = Console(width=MOST_WIDTH).measure(drawn).minimum
    console = Console(width=max(width, least), color_system=None)  # rich would cut numbers off to fit
    with console.capture() as capture:
        console.print(drawn)
    return [line.rstrip() for line in capture.get().splitlines()]


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
