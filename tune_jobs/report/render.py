"""A table in one of the forms: text for people, JSON and CSV for programs, Markdown and LaTeX for documents.

Text fits the terminal and has its colours; JSON and CSV hold every digit. Called by `tune_jobs.cli`.
"""

from __future__ import annotations

import json
import sys

from eml_models.errors import UnknownNameError
from tune_jobs.report.formats import CSV, JSON, LATEX, MARKDOWN, REPORT_FORMATS, TABLE
from tune_jobs.report.markup import as_latex, as_markdown
from tune_jobs.report.plain import csv_line, plain
from tune_jobs.report.tables import Table
from tune_jobs.report.terminal import paint_of
from tune_jobs.report.text import draw_text


def render(table: Table, form: str) -> str:
    """The table as text in one of `formats.REPORT_FORMATS`, ending in a newline.

    Raises:
        UnknownNameError: there is no such form.
    """
    if form == JSON:
        records = [dict(zip(table.columns, map(plain, row), strict=True)) for row in table.rows]
        return json.dumps(records, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    if form == CSV:
        return "".join(csv_line(row) for row in (table.columns, *table.rows))
    if form == TABLE:
        return draw_text(table, paint=paint_of(sys.stdout))
    if form == MARKDOWN:
        return as_markdown(table)
    if form == LATEX:
        return as_latex(table)
    raise UnknownNameError("form", form, REPORT_FORMATS)
