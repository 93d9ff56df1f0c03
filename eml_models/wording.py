"""What is said to people: counts in words, and texts from elsewhere as a terminal may show them."""

from __future__ import annotations

import unicodedata

MAX_SHOWN = 80
"""Characters of somebody else's text that a message repeats."""

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""The Unicode categories of what a terminal obeys or hides: controls, marks that turn the direction of text,
halves of surrogate pairs, separators of lines and paragraphs."""

SHOWN = frozenset("\n\t\u200c\u200d")
"""Characters without a picture that are shown: line breaks, tabs, and joiners of scripts and emoji."""


def count_of(count: int, noun: str, plural: str | None = None) -> str:
    """``1 epoch``, ``2 epochs``, ``1,000 trials``; `plural` where it is not the noun with an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def harmless(text: str) -> str:
    """A text from a row, a file's name or an error, as a terminal may show it.

    What a terminal would obey or hide becomes an escape that can be read: ``\\x1b[2J``, ``\\u202e``.
    Everything that people read on a terminal passes here; data for programs (JSON, CSV) stays as it is.
    """
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def cut(value: object) -> str:
    """A value in a message: its Python form, cut where it is longer than people read."""
    try:
        shown = repr(value[: MAX_SHOWN + 1] if isinstance(value, str) else value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a whole number of thousands of digits"
    return shown if len(shown) <= MAX_SHOWN + 2 else f"{shown[:MAX_SHOWN]}..."


def first_line(error: BaseException | str) -> str:
    """The first line of an error or of its text; an error without words is called by its type."""
    text = str(error).strip() or ("(no message)" if isinstance(error, str) else type(error).__name__)
    return text.splitlines()[0]


def _escaped(character: str) -> str:
    if character in SHOWN or unicodedata.category(character) not in UNSEEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
