"""A table in Markdown or LaTeX, ready to paste into a report.

Numbers have the forms of the text table. Markdown is that of GitHub. LaTeX is a `table` that needs no
package: lines are drawn by ``\\hline``. Called by `render`.
"""

from __future__ import annotations

import re

from eml_models.wording import harmless
from tune_jobs.report.plain import plain
from tune_jobs.report.tables import Table
from tune_jobs.report.text import column_texts

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
LATEX_SPECIAL = re.compile("|".join(map(re.escape, LATEX)))

MARKDOWN_SPECIAL = re.compile(r"[\\`*|<>~$]|(?<!\w)_|_(?!\w)|(?<=\])\(|&(?=#?\w+;)")
"""What Markdown reads as its own; an underscore within a word is none of it, nor is an & before a space."""


def as_markdown(table: Table) -> str:
    """The table with its title above it, ending in a newline."""
    cells = [[_markdown(text) for text in row] for row in _texts(table)]
    right = _right_aligned(table)
    widths = [max(3, *(len(row[index]) for row in cells)) for index in range(len(table.columns))]
    rule = [
        "-" * (width - 1) + ":" if is_right else "-" * width
        for width, is_right in zip(widths, right, strict=True)
    ]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        )
        + " |"
        for row in [cells[0], rule, *cells[1:]]
    ]
    title = [_markdown(_line(table.title)), ""] if table.title else []
    return "\n".join([*title, *lines]) + "\n"


def as_latex(table: Table) -> str:
    """The table with its title as the caption, ending in a newline."""
    head, *rows = [[_latex(text) for text in row] for row in _texts(table)]
    columns = "".join("r" if is_right else "l" for is_right in _right_aligned(table))
    caption = [f"  \\caption{{{_latex(_line(table.title))}}}"] if table.title else []
    lines = [
        r"\begin{table}[ht]",
        r"  \centering",
        *caption,
        f"  \\begin{{tabular}}{{{columns}}}",
        r"    \hline",
        _latex_row(head),
        r"    \hline",
        *map(_latex_row, rows),
        r"    \hline",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(cells: list[str]) -> str:
    # a row that begins with [ or * would be read as an argument of the \\ before it
    first = f"{{}}{cells[0]}" if cells[0][:1] in ("[", "*") else cells[0]
    return f"    {' & '.join([first, *cells[1:]])} \\\\"


def _texts(table: Table) -> list[list[str]]:
    """The names of the columns, then the cells of each row."""
    columns = column_texts(table)
    rows = [list(row) for row in zip(*columns, strict=True)] if columns else []
    return [[_line(name) for name in table.columns], *[[_line(cell) for cell in row] for row in rows]]


def _right_aligned(table: Table) -> list[bool]:
    """Whether each column has numbers alone."""
    return [
        all(isinstance(plain(row[index]), int | float | None) for row in table.rows)
        for index in range(len(table.columns))
    ]


def _line(text: str) -> str:
    return " ".join(harmless(text).split())


def _markdown(text: str) -> str:
    return MARKDOWN_SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def _latex(text: str) -> str:
    return LATEX_SPECIAL.sub(lambda found: LATEX[found[0]], text)
