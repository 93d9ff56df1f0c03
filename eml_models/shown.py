"""Short forms of values for Python's prompt and for a notebook.

`as_python` writes a dataclass as a person would: without fields that have their defaults. `html_table` makes
a table in which every text is escaped, since names and errors may come from anyone. Called by the `__repr__`
and `_repr_html_` of public classes.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Sequence
from typing import Any

MAX_CELL = 200
"""Most characters of a cell; a longer text is cut."""


def as_python(value: Any) -> str:
    """A dataclass as Python, without fields that have their defaults: ``Float('lr', 0.001, 1.0, log=True)``.

    Fields that may be given by position have no name.
    """
    words = []
    for field in dataclasses.fields(value):
        found = getattr(value, field.name)
        if has_default(field, found) or not field.init:
            continue
        words.append(f"{field.name}={found!r}" if field.kw_only else repr(found))
    return f"{type(value).__name__}({', '.join(words)})"


def has_default(field: dataclasses.Field[Any], value: object) -> bool:
    """Whether a field's value is its default."""
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return field.default is not dataclasses.MISSING and bool(value == field.default)


def html_table(
    title: str, rows: Iterable[Sequence[object]], *, columns: Sequence[str] = (), note: str = ""
) -> str:
    """A table for a notebook; None becomes an empty cell, and a number has six digits."""
    head = "".join(f"<th>{_cell(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    return (
        f"<div><b>{_cell(title)}</b><table>{f'<thead><tr>{head}</tr></thead>' if head else ''}"
        f"<tbody>{body}</tbody></table>{f'<p>{_cell(note)}</p>' if note else ''}</div>"
    )


def _cell(value: object) -> str:
    """A value as escaped text on one line."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}..."
    return html.escape(text)
