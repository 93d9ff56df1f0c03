"""How the command line speaks to people: on stderr, or as sentences on stdout; nothing in it is obeyed.

Rows, names of files, logs and errors hold text of anybody. What is told passes `harmless`; tables do so by
themselves, and data for programs (JSON, CSV) is written as it is. Called by every command.
"""

from __future__ import annotations

import sys

from eml_models.wording import harmless


def tell(text: str) -> None:
    """Lines on stderr; printed, since click writes past a progress line that stands there."""
    print(harmless(text), file=sys.stderr)


def tell_note(note: str) -> None:
    """What a person should know beside what was asked for: one line on stderr."""
    tell(f"note: {note}")


def put(data: str) -> None:
    """Data on stdout as it is: a table, JSON or CSV. click would take out what looks like a colour."""
    sys.stdout.write(data)
    sys.stdout.flush()


def say(text: str = "") -> None:
    """Lines on stdout, where sentences are what was asked for."""
    put(harmless(text) + "\n")
