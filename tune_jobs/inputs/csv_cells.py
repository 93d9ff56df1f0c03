"""CSV read strictly: each cell of each row, or an error that names the line.

Python's own reader drops the rest of a row that is too long and fills a row that is too short. Of two columns
with the same name it keeps the second, and after an open quote it reads to the end of the file. Called by
`point_files`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from eml_models.errors import InvalidValueError
from eml_models.wording import cut

CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r\n|\r|\n|\Z)')
OTHER_SEPARATORS = ";\t|"


def read_csv(text: str) -> list[dict[str, str | None]]:
    """The rows below the header, as values by column name: None for an empty cell, an empty text for ``""``.

    Blank lines are skipped. A first column without a name that counts the rows, as of pandas, is left out.

    Raises:
        InvalidValueError: the text is not CSV, two columns have the same name, or a row is longer or shorter
            than the header.
    """
    rows = [(line, row) for line, row in _iter_rows(text) if row != [None]]
    if not rows:
        return []
    names = [name or "" for name in rows[0][1]]
    body = rows[1:]
    _check_header(names)
    ragged = [
        f"line {line} has {len(row)} cells, the header has {len(names)}"
        for line, row in body
        if len(row) != len(names)
    ]
    if ragged:
        raise InvalidValueError(
            "\n  - ".join(
                [*ragged, "write numbers with a decimal point, and put a text with a comma in quotes"]
            )
        )
    if names[0] == "" and [row[0] for _, row in body] == [str(index) for index in range(len(body))]:
        names, body = names[1:], [(line, row[1:]) for line, row in body]
    if "" in names:
        raise InvalidValueError(
            f"column {names.index('') + 1} has no name in the header; name it, or delete the column"
        )
    return [dict(zip(names, row, strict=True)) for _, row in body]


def _check_header(names: list[str]) -> None:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise InvalidValueError(f"two columns are called {', '.join(map(cut, twice))}; delete one of them")
    if len(names) == 1 and any(mark in names[0] for mark in OTHER_SEPARATORS):
        raise InvalidValueError(f"cells must be separated by commas, got {cut(names[0])}")


def _iter_rows(text: str) -> Iterator[tuple[int, list[str | None]]]:
    """Each row with the number of its line."""
    line, start, place = 1, 1, 0
    row: list[str | None] = []
    while place < len(text) or row:
        match = CELL.match(text, place)
        if match is None:
            raise InvalidValueError(
                f"line {line} is no CSV: quotes must stand around a whole cell; double a quote inside it"
            )
        quoted, bare, end = match.groups()
        row.append(quoted.replace('""', '"') if quoted is not None else bare or None)
        line += len(re.findall(r"\r\n|\r|\n", match[0]))
        place = match.end()
        if end != ",":
            yield start, row
            row, start = [], line
