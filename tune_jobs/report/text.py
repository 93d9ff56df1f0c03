"""A table drawn as text: columns side by side in the terminal's width, long texts on lines of their own.

The library rich measures how wide a character is. Its own tables are not used, because they cut off numbers
to fit and break words anywhere. Called by `render`; `wrapped` and `format_value` serve other texts too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size

from eml_models.wording import harmless
from tune_jobs.report.column_numbers import column_format, parts_format, percent
from tune_jobs.report.last_runs import KILLED, RUNNING
from tune_jobs.report.plain import nested_text, plain
from tune_jobs.report.tables import Table
from tune_jobs.report.terminal import PLAIN, Paint, Tone
from tune_jobs.study.rows import State

PLAIN_WIDTH = 160
"""Width of a text that is not written to a terminal, in characters."""

GAP, NARROW_GAP = 3, 2
"""Blanks between columns; the second number if a row would not fit otherwise."""

INDENT = "    "
WORD = re.compile(r"\S+(?: %\S*)?\s*")
"""A word with the blanks behind it; a number and its per cent sign stay together."""

WORD_OR_COMMA = re.compile(r"[^\s,]*,\s*|[^\s,]+\s*")
"""Breaks behind commas too: a network's words may be pasted back with such breaks in them."""

BREAKS = re.compile(r"[^\s,/]*[,/]\s*|[^\s,/]+\s*")
"""Breaks behind commas and slashes too: a mode's name has slashes."""

TONES: Mapping[str, Tone] = {
    State.FAILED: Tone.FAILED,
    KILLED: Tone.FAILED,
    State.INFEASIBLE: Tone.REFUSED,
    RUNNING: Tone.LIVE,
}
"""The tones of states of trials, runs and jobs."""

TAB = 4
"""Blanks to the next multiple of this number stand for a tab."""


def format_value(value: object) -> str:
    """One value for people: four significant digits, thousands separated, a dash for missing.

    The numbers of a column have one format, which `column_numbers` chooses.
    """
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
    """The text without commands to a terminal, and with blanks for tabs, so that its width is known."""
    return harmless(text).expandtabs(TAB)


def draw_text(table: Table, *, width: int | None = None, paint: Paint = PLAIN) -> str:
    """The table as lines that fit `width` (default: the terminal's), under its title and notes."""
    table, width = _with_seen_names(table), text_width() if width is None else width
    counts = ", ".join(name for name in table.columns if name in table.millions)
    notes = [table.title, table.note, *([f"in millions: {counts}"] if counts else [])]
    head = [line for note in notes for line in wrapped(note, width)]
    body = _draw(table, width, paint)
    if not table.rows:
        body = [*body[:-1], *wrapped(table.empty, width), ""]
    return "\n".join([*head, *body]) + "\n"


def _with_seen_names(table: Table) -> Table:
    """The table with its names, title and notes made harmless for a terminal; cells follow one by one."""
    return replace(
        table,
        columns=tuple(map(_seen, table.columns)),
        below=tuple(map(_seen, table.below)),
        groups=tuple(map(_seen, table.groups)),
        millions=tuple(map(_seen, table.millions)),
        shares=tuple(map(_seen, table.shares)),
        parts=tuple(map(_seen, table.parts)),
        states=tuple(map(_seen, table.states)),
        title=_seen(table.title),
        note=_seen(table.note),
        empty=_seen(table.empty),
    )


def text_width() -> int:
    """The terminal's width in characters, or `PLAIN_WIDTH` if stdout is not a terminal."""
    from rich.console import Console

    on_terminal = Console()
    return on_terminal.width if on_terminal.is_terminal else PLAIN_WIDTH


def wrapped(text: str, width: int, indent: str = "", *, at: re.Pattern[str] = WORD) -> list[str]:
    """The text in lines of at most `width` characters; only a longer word makes a longer line."""
    lines: list[str] = []
    for word in at.findall(text):
        if lines and len(indent) + cell_len((lines[-1] + word).rstrip()) <= width:
            lines[-1] += word
        else:
            lines.append(word)
    return [indent + line.rstrip() for line in lines]


def _draw(table: Table, width: int, paint: Paint) -> list[str]:
    """The table without its title, with one line for each row if the width allows.

    If not, the first of these ways that fits is taken: shared values stand above their rows; long texts stand
    below theirs; both. If none fits, cells are broken.
    """
    columns = _columns(table)
    groups = [column for column in columns if column.name in table.groups and len(table.rows) > 1]
    below = [column for column in columns if column.name in table.below]
    places: list[tuple[list[_Column], list[_Column]]] = [
        ([], []),
        (groups, []),
        ([], below),
        (groups, below),
    ]
    for above, beneath in places:
        beside = [column for column in columns if column not in (*above, *beneath)]
        for gap in (GAP, NARROW_GAP):  # a header may take several lines
            layout = _Layout(beside=beside, above=above, below=beneath, gap=gap)
            if _total([column.whole for column in beside], gap) <= width:
                return _draw_blocks(table, layout, width, paint)
    return _draw_blocks(table, layout, width, paint)


def _total(widths: Sequence[int], gap: int) -> int:
    return 1 + sum(widths) + gap * (len(widths) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """The places of columns: beside each other, shared values above their rows, long texts below each row."""

    beside: Sequence[_Column]
    above: Sequence[_Column]
    below: Sequence[_Column]
    gap: int


def _draw_blocks(table: Table, layout: _Layout, width: int, paint: Paint) -> list[str]:
    """The header and the rows."""
    beside, below, gap = layout.beside, layout.below, layout.gap
    widths = _shrunk(beside, width, gap)
    names = _row_lines([column.name for column in beside], beside, widths, gap, at=WORD)
    lines = ["", *(paint(line, Tone.HEAD) for line in names)]
    lines.append(" " + "\u2500" * (_total(widths, gap) - 1))
    blocks, heads, spaced = [], [], False
    for index, row in enumerate(table.rows):
        beneath = [line for column in below for line in _iter_below(row[column.index], width)]
        shown = [column.shown(row[column.index]) for column in beside]
        painted = [partial(paint, tone=_tone(table, index, column)) for column in beside]
        blocks.append([*_row_lines(shown, beside, widths, gap, at=BREAKS, painted=painted), *beneath])
        spaced |= bool(below) and len(blocks[-1]) > 2
        heads.append(", ".join(_named(column, row[column.index]) for column in layout.above))
    for index, (block, head) in enumerate(zip(blocks, heads, strict=True)):
        if head and (not index or head != heads[index - 1]):
            lines += [*([""] if index and not spaced else []), *wrapped(head, width, " ")]
        lines += [*block, *([""] if spaced else [])]
    return lines if spaced else [*lines, ""]


def _tone(table: Table, row: int, column: _Column) -> Tone | None:
    """The tone of a cell: of its state, or of the state that its column counts; else of a best row."""
    value, found = table.rows[row][column.index], None
    if column.name in table.states and value:
        found = TONES.get(value if isinstance(value, str) else column.name)
    return found or (Tone.BEST if row in table.best else None)


def _named(column: _Column, value: object) -> str:
    """A value to stand above its rows: a number with its column's name, a text alone."""
    shown = column.shown(value)
    return f"{column.name} {shown}" if isinstance(plain(value), int | float) else shown


def _iter_below(value: object, width: int) -> Iterator[str]:
    for text in _seen(str("" if value is None else value)).splitlines():
        yield from wrapped(text, width, INDENT, at=WORD_OR_COMMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """How a column is written.

    Attributes:
        index: its place in a row.
        spec: the format of all its numbers; None if they are whole, so that each is written by itself.
        least: the width of its longest unbreakable part.
        whole: the least width at which no cell is broken.
        most: the least width at which its header is not broken either.
    """

    index: int
    name: str
    numeric: bool
    millions: bool
    share: bool
    spec: str | None
    least: int = 0
    whole: int = 0
    most: int = 0

    def shown(self, value: object) -> str:
        value = plain(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return format_value(value)
        if self.share:
            return percent(value)
        if self.millions and isinstance(value, int):
            return f"{value / 1e6:,.2f}"
        return format_value(value) if self.spec is None else f"{value:{self.spec}}"


def column_texts(table: Table) -> list[list[str]]:
    """The cells of each column as texts of one form, for other forms of a table."""
    return [[column.shown(row[column.index]) for row in table.rows] for column in _columns(table)]


def _columns(table: Table) -> list[_Column]:
    found = []
    for index, name in enumerate(table.columns):
        values = [row[index] for row in table.rows]
        column = _Column(
            index=index,
            name=name,
            numeric=all(isinstance(plain(value), int | float | None) for value in values),
            millions=name in table.millions,
            share=name in table.shares,
            spec=_spec(values, are_parts=name in table.parts),
        )
        cells = [line for value in values for line in column.shown(value).splitlines()]
        head = _longest(WORD.findall(name))
        whole = max(head, _longest(cells))
        pieces = max(head, _longest(piece for cell in cells for piece in BREAKS.findall(cell)))
        least = whole if column.numeric else pieces
        found.append(replace(column, least=least, whole=whole, most=max(whole, cell_len(name))))
    return found


def _spec(values: Iterable[object], *, are_parts: bool) -> str | None:
    """The format of a column's numbers; None if no number has a fraction."""
    numbers = [value for value in map(plain, values) if isinstance(value, int | float)]
    if not any(isinstance(number, float) for number in numbers):
        return None
    choose = parts_format if are_parts else column_format
    return choose(number for number in numbers if not isinstance(number, bool))


def _longest(texts: Iterable[str]) -> int:
    return max((cell_len(text.rstrip()) for text in texts), default=0)


def _shrunk(columns: Sequence[_Column], width: int, gap: int) -> list[int]:
    """A width for each column so that a row fits: headers give way first, then cells, the first column last.

    The row is wider than `width` only if nothing can be broken further.
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
    cells: Sequence[str],
    columns: Sequence[_Column],
    widths: Sequence[int],
    gap: int,
    *,
    at: re.Pattern[str],
    painted: Sequence[Callable[[str], str]] | None = None,
) -> list[str]:
    """The lines of a row.

    Args:
        painted: for each column, gives a part of a cell its colour; None for no colours.
    """
    painted = painted or [str] * len(columns)
    broken = [_broken(cell, width, at) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for parts in zip_longest(*broken, fillvalue=""):
        padded = [
            paint(" " * (width - cell_len(part)) + part if column.numeric else set_cell_size(part, width))
            for part, column, width, paint in zip(parts, columns, widths, painted, strict=True)
        ]
        lines.append((" " + (" " * gap).join(padded)).rstrip())
    return lines


def _broken(cell: str, width: int, at: re.Pattern[str]) -> list[str]:
    """The lines of a cell; an indented line of its text, as in a traceback, stays indented."""
    lines: list[str] = []
    for text in cell.splitlines():
        indent = text[: len(text) - len(text.lstrip())]
        lines += wrapped(text, width, indent if cell_len(text) <= width else "", at=at)
    return lines
