"""A small table and its three forms: text for people, JSON and CSV for programs.

Text fits the terminal; JSON and CSV hold every digit. rich knows how wide a character is; its own tables cut
numbers off to fit and break words anywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size

from eml_models.wording import harmless
from tune_jobs.report.formats import CSV, JSON
from tune_jobs.report.plain import csv_line, nested_text, plain

PLAIN_WIDTH = 160
"""Columns of a table that is not written to a terminal."""

GAP, NARROW_GAP = 3, 2
"""Blanks between columns; the second where a row would not fit otherwise."""

INDENT = "    "
WORD = re.compile(r"\S+(?: %\S*)?\s*")
"""A number and its per cent sign are one."""

WORD_OR_COMMA = re.compile(r"[^\s,]*,\s*|[^\s,]+\s*")
"""A piece that ends behind a comma too: words that name a network are read back with such breaks in them."""

BREAKS = re.compile(r"[^\s,/]*[,/]\s*|[^\s,/]+\s*")
"""The same, broken behind slashes too: the words that name a mode have them."""

TAB = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Named columns and rows of plain values (None for missing).

    Attributes:
        below: the columns whose cells are long text: for people they stand on lines of their own under their
            row, where they do not fit beside it.
        groups: the columns that consecutive rows share: for people they stand once above those rows, where
            they do not fit beside them.
        millions: columns of large counts, which people read in millions.
        note: what people are told under the title.
        empty: what people are told where there is no row.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""
    below: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    millions: tuple[str, ...] = ()
    note: str = ""
    empty: str = "no rows"

    def without(self, *names: str) -> Table:
        """The table with fewer columns."""
        kept = [index for index, name in enumerate(self.columns) if name not in names]
        columns = tuple(self.columns[index] for index in kept)
        return replace(self, columns=columns, rows=tuple(tuple(row[i] for i in kept) for row in self.rows))


def render(table: Table, form: str) -> str:
    """The table as text in one of `formats.FORMATS`, ending in a newline."""
    if form == JSON:
        records = [dict(zip(table.columns, map(plain, row), strict=True)) for row in table.rows]
        return json.dumps(records, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    if form == CSV:
        return "".join(csv_line(row) for row in (table.columns, *table.rows))
    return _as_text(table)


def format_value(value: object) -> str:
    """One cell for people: four significant digits, thousands separated, a dash for missing."""
    value = plain(value)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if 0.01 <= abs(value) < 1000 else f"{value:.4g}"
    return _seen(value if isinstance(value, str) else nested_text(value))


def _seen(text: str) -> str:
    """A text as wide as a terminal shows it, and nothing that a terminal obeys."""
    return harmless(text).expandtabs(TAB)


def _as_text(table: Table) -> str:
    table, width = _with_seen_names(table), text_width()
    counts = ", ".join(name for name in table.columns if name in table.millions)
    notes = [table.title, table.note, *([f"in millions: {counts}"] if counts else [])]
    head = [line for note in notes for line in wrapped(note, width)]
    body = (
        _draw(table, width) if table.rows else [*_draw(table, width)[:-1], *wrapped(table.empty, width), ""]
    )
    return "\n".join([*head, *body]) + "\n"


def _with_seen_names(table: Table) -> Table:
    """The table with what stands around its cells as a terminal may show it."""
    return replace(
        table,
        columns=tuple(map(_seen, table.columns)),
        below=tuple(map(_seen, table.below)),
        groups=tuple(map(_seen, table.groups)),
        millions=tuple(map(_seen, table.millions)),
        title=_seen(table.title),
        note=_seen(table.note),
        empty=_seen(table.empty),
    )


def text_width() -> int:
    """Columns of what people read: the terminal's, and `PLAIN_WIDTH` where stdout is none."""
    from rich.console import Console

    on_terminal = Console()
    return on_terminal.width if on_terminal.is_terminal else PLAIN_WIDTH


def wrapped(text: str, width: int, indent: str = "", *, at: re.Pattern[str] = WORD) -> list[str]:
    """Lines of at most that width; only a word that is longer makes a longer one."""
    lines: list[str] = []
    for word in at.findall(text):
        if lines and len(indent) + cell_len((lines[-1] + word).rstrip()) <= width:
            lines[-1] += word
        else:
            lines.append(word)
    return [indent + line.rstrip() for line in lines]


def _draw(table: Table, width: int) -> list[str]:
    """The table without its title: on one line a row if it fits, else in as few as can be.

    Where it does not fit, what rows of a group share stands above them, or long texts stand below their rows,
    or both; at last cells are broken.
    """
    columns = _columns(table)
    groups = [column for column in columns if column.name in table.groups and len(table.rows) > 1]
    below = [column for column in columns if column.name in table.below]
    layouts: list[tuple[list[_Column], list[_Column]]] = [
        ([], []),
        (groups, []),
        ([], below),
        (groups, below),
    ]
    for above, beneath in layouts:
        beside = [column for column in columns if column not in (*above, *beneath)]
        for gap in (GAP, NARROW_GAP):  # a header may take more lines than one
            if _total([column.whole for column in beside], gap) <= width:
                return _draw_blocks(table.rows, beside, above, beneath, width, gap)
    return _draw_blocks(table.rows, beside, above, beneath, width, NARROW_GAP)


def _total(widths: Sequence[int], gap: int) -> int:
    return 1 + sum(widths) + gap * (len(widths) - 1)


def _draw_blocks(
    rows: Sequence[Sequence[object]],
    beside: Sequence[_Column],
    above: Sequence[_Column],
    below: Sequence[_Column],
    width: int,
    gap: int,
) -> list[str]:
    """Rows with the values of some columns above those that share them, and of others under each row."""
    widths = _shrunk(beside, width, gap)
    lines = ["", *_row_lines([column.name for column in beside], beside, widths, gap, at=WORD)]
    lines.append(" " + "\u2500" * (_total(widths, gap) - 1))
    blocks, heads, spaced = [], [], False
    for row in rows:
        beneath = [line for column in below for line in _iter_below(row[column.index], width)]
        shown = [column.shown(row[column.index]) for column in beside]
        blocks.append([*_row_lines(shown, beside, widths, gap, at=BREAKS), *beneath])
        spaced |= bool(below) and len(blocks[-1]) > 2
        heads.append(", ".join(_named(column.name, row[column.index]) for column in above))
    for index, (block, head) in enumerate(zip(blocks, heads, strict=True)):
        if head and (not index or head != heads[index - 1]):
            lines += [*([""] if index and not spaced else []), *wrapped(head, width, " ")]
        lines += [*block, *([""] if spaced else [])]
    return lines if spaced else [*lines, ""]


def _named(name: str, value: object) -> str:
    """A value that stands above its rows: a number needs its column's name, a text is its own."""
    return f"{name} {format_value(value)}" if isinstance(plain(value), int | float) else format_value(value)


def _iter_below(value: object, width: int) -> Iterator[str]:
    for text in _seen(str("" if value is None else value)).splitlines():
        yield from wrapped(text, width, INDENT, at=WORD_OR_COMMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """How a column is written.

    Attributes:
        index: its place in a row.
        least: the width that its longest unbreakable part takes.
        whole: the width at which no cell is broken; `most`: that at which its header is not either.
    """

    index: int
    name: str
    numeric: bool
    millions: bool
    least: int = 0
    whole: int = 0
    most: int = 0

    def shown(self, value: object) -> str:
        value = plain(value)
        return f"{value / 1e6:,.2f}" if self.millions and isinstance(value, int) else format_value(value)


def _columns(table: Table) -> list[_Column]:
    found = []
    for index, name in enumerate(table.columns):
        values = [row[index] for row in table.rows]
        column = _Column(
            index=index,
            name=name,
            numeric=all(isinstance(plain(value), int | float | None) for value in values),
            millions=name in table.millions,
        )
        cells = [line for value in values for line in column.shown(value).splitlines()]
        head = _longest(WORD.findall(name))
        whole = max(head, _longest(cells))
        pieces = max(head, _longest(piece for cell in cells for piece in BREAKS.findall(cell)))
        least = whole if column.numeric else pieces
        found.append(replace(column, least=least, whole=whole, most=max(whole, cell_len(name))))
    return found


def _longest(texts: Iterable[str]) -> int:
    return max((cell_len(text.rstrip()) for text in texts), default=0)


def _shrunk(columns: Sequence[_Column], width: int, gap: int) -> list[int]:
    """Widths that fit: headers are broken first, then cells, and at last those people look for, the first.

    They are wider than that only where nothing can be broken further.
    """
    widths = [column.most for column in columns]
    headers = [column.whole for column in columns]
    cells = [column.least if index else column.whole for index, column in enumerate(columns)]
    for limits in (headers, cells, [column.least for column in columns]):
        while (
            _total(widths, gap) > width
            and (able := [index for index, limit in enumerate(limits) if widths[index] > limit])
        ):  # fmt: skip
            widths[max(able, key=widths.__getitem__)] -= 1
    return widths


def _row_lines(
    cells: Sequence[str], columns: Sequence[_Column], widths: Sequence[int], gap: int, *, at: re.Pattern[str]
) -> list[str]:
    broken = [_broken(cell, width, at) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for parts in zip_longest(*broken, fillvalue=""):
        padded = [
            " " * (width - cell_len(part)) + part if column.numeric else set_cell_size(part, width)
            for part, column, width in zip(parts, columns, widths, strict=True)
        ]
        lines.append((" " + (" " * gap).join(padded)).rstrip())
    return lines


def _broken(cell: str, width: int, at: re.Pattern[str]) -> list[str]:
    """The lines of a cell; a line of its text that is indented stays so, as in a traceback."""
    lines: list[str] = []
    for text in cell.splitlines():
        indent = text[: len(text) - len(text.lstrip())]
        lines += wrapped(text, width, indent if cell_len(text) <= width else "", at=at)
    return lines
