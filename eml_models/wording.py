"""Words for people: counts with their nouns, durations, lists, and foreign texts made safe for a terminal.

Called by all code that writes messages, tables or help texts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

MAX_SHOWN = 80
"""Most characters of a foreign text that a message repeats."""

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of characters that a terminal obeys or hides: controls, marks that change the direction
of text, halves of surrogate pairs, separators of lines and paragraphs."""

SHOWN = frozenset("\n\t\u200c\u200d")
"""Invisible characters that stay as they are: line breaks, tabs, and joiners of scripts and emoji."""


def count_of(count: int, noun: str, plural: str | None = None) -> str:
    """``1 epoch``, ``2 epochs``, ``1,000 trials``; give `plural` if it is not the noun plus s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration_of(seconds: float) -> str:
    """``8 s``, ``3 min``, ``1 h 20 min``, ``2 d 3 h``: a time in its two largest units, rounded."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def listed(words: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``; empty for no words."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def sentence(text: str) -> str:
    """The text with a full stop, unless it ends a sentence already: ``did you mean 'small'?``."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def harmless(text: str) -> str:
    """A text from a row, a file's name or an error, made safe for a terminal.

    A character that a terminal would obey or hide becomes a readable escape: ``\\x1b[2J``, ``\\u202e``.
    All output for people passes through here; data for programs (JSON, CSV) is not changed.
    """
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def cut(value: object) -> str:
    """A value for a message: its Python form, cut after `MAX_SHOWN` characters."""
    try:
        shown = repr(value[: MAX_SHOWN + 1] if isinstance(value, str) else value)
    except ValueError:  # Python refuses to write a whole number of more than 4,300 digits
        return "a whole number of thousands of digits"
    return shown if len(shown) <= MAX_SHOWN + 2 else f"{shown[:MAX_SHOWN]}..."


def first_line(error: BaseException | str) -> str:
    """The first line of an error or of its text; for an error without a message, the name of its type."""
    text = str(error).strip() or ("(no message)" if isinstance(error, str) else type(error).__name__)
    return text.splitlines()[0]


def _escaped(character: str) -> str:
    if character in SHOWN or unicodedata.category(character) not in UNSEEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
