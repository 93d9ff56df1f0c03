"""A small table as a value: names of columns, rows, and hints for drawing it as text.

Knows no form; `render` writes a table in a form, and `text` draws it for people. Made by the other modules of
this wing and by `tune_jobs.cli`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Named columns and rows of plain values (None for missing).

    Attributes:
        below: columns of long texts. In text, they stand on lines of their own under their row if they do
            not fit beside it.
        groups: columns whose values consecutive rows share. In text, these values stand once above such rows
            if they do not fit beside them.
        millions: columns of large counts, in text written in millions.
        shares: columns of shares of a whole, in text written in per cent.
        parts: columns of the parts of a sum, in text with three digits of the largest part.
        states: columns of states, or of counts named for a state, in a terminal coloured by it.
        best: the indexes of the best rows, in a terminal coloured.
        note: a sentence under the title, only in text.
        empty: a sentence in place of the rows if there is none, only in text.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""
    below: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    millions: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    best: tuple[int, ...] = ()
    note: str = ""
    empty: str = "no rows"

    def without(self, *names: str) -> Table:
        """The table with fewer columns."""
        kept = [index for index, name in enumerate(self.columns) if name not in names]
        columns = tuple(self.columns[index] for index in kept)
        return replace(self, columns=columns, rows=tuple(tuple(row[i] for i in kept) for row in self.rows))
