"""Escaped HTML: texts, and tables as they are read aloud. Every text of a user goes through here."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from eml_models.wording import harmless
from tune_jobs.report.tables import Table
from tune_jobs.report.text import column_texts

MAX_TEXT = 300
"""Most characters of a cell."""

MAX_ROWS = 1000
"""Most rows of a table on a page."""

WHOLE_ROWS = 12
"""Most rows of a table that is shown whole in a window of any width; a longer one lies in a scroll box."""

NO_LINKS: Mapping[str, str] = MappingProxyType({})


def escaped(text: object, most: int = MAX_TEXT) -> str:
    """A text without markup, on one line, cut after some characters."""
    seen = harmless(str(text))
    return html.escape(seen if len(seen) <= most else f"{seen[:most]}...")


def table_html(table: Table, links: Mapping[str, str] = NO_LINKS, *, digits_of_text: bool = False) -> str:
    """A table with a caption; numbers have six digits, and a missing value is a dash.

    Args:
        links: columns whose values name pages, each with the path that stands before the value.
        digits_of_text: numbers have the digits of the table as text instead, equal in each column.
    """
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in table.columns)
    shown = list(zip(*column_texts(table), strict=True)) if digits_of_text else table.rows
    before = [links.get(name) for name in table.columns]
    rows = "\n".join(
        f"<tr>{_cells(row, texts, before)}</tr>"
        for row, texts in zip(table.rows[:MAX_ROWS], shown, strict=False)
    )
    left = len(table.rows) - MAX_ROWS
    cut = f"<p>The first {MAX_ROWS:,} of {len(table.rows):,} rows.</p>" if left > 0 else ""
    note = f"<p>{escaped(table.note, 2000)}</p>" if table.note else ""
    if not table.rows:
        return f"<p>{escaped(table.empty)}</p>"
    few = " whole" if len(table.rows) <= WHOLE_ROWS else ""
    return (
        f'<div class="scroll{few}" role="region" tabindex="0" aria-label="'
        f'{escaped(table.title)}"><table><caption>{escaped(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>{cut}{note}"
    )


def _cells(row: Sequence[object], texts: Sequence[object], before: Sequence[str | None]) -> str:
    return "".join(_cell(*cell) for cell in zip(row, texts, before, strict=True))


def _cell(value: object, text: object, path: str | None) -> str:
    if path is not None and value is not None:
        aligned = ' class="n"' if isinstance(value, int) else ""
        target = html.escape(path + quote(str(value), safe=""))
        return f'<td{aligned}><a href="{target}">{escaped(value)}</a></td>'
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{escaped('-' if value is None else value)}</td>"
    if text is value:
        text = f"{value:.6g}" if isinstance(value, float) else f"{value:,}"
    return f'<td class="n">{escaped(text)}</td>'
