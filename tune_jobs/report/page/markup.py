"""Escaped HTML: texts, and tables as they are read aloud. Every text of a user goes through here."""

from __future__ import annotations

import html
from collections.abc import Sequence

from eml_models.wording import harmless
from tune_jobs.report.tables import Table

MAX_TEXT = 300
"""Most characters of a cell."""

MAX_ROWS = 1000
"""Most rows of a table on a page."""


def escaped(text: object, most: int = MAX_TEXT) -> str:
    """A text without markup, on one line, cut after some characters."""
    seen = harmless(str(text))
    return html.escape(seen if len(seen) <= most else f"{seen[:most]}...")


def table_html(table: Table) -> str:
    """A table with a caption; numbers have six digits, and a missing value is a dash."""
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in table.columns)
    rows = "\n".join(f"<tr>{_cells(row)}</tr>" for row in table.rows[:MAX_ROWS])
    left = len(table.rows) - MAX_ROWS
    note = f"<p>The first {MAX_ROWS:,} of {len(table.rows):,} rows.</p>" if left > 0 else ""
    if not table.rows:
        return f"<p>{escaped(table.empty)}</p>"
    return (
        '<div class="scroll" role="region" tabindex="0" aria-label="'
        f'{escaped(table.title)}"><table><caption>{escaped(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>{note}"
    )


def _cells(row: Sequence[object]) -> str:
    return "".join(_cell(value) for value in row)


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{escaped('-' if value is None else value)}</td>"
    text = f"{value:.6g}" if isinstance(value, float) else f"{value:,}"
    return f'<td class="n">{text}</td>'
