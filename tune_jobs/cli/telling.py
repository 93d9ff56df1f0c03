"""How the command line writes: sentences for people on stderr or stdout, data on stdout.

Rows, names of files, logs and errors may hold text from anyone, with commands to a terminal in it. Sentences
pass `harmless`, so that a terminal obeys none of them. Tables do so by themselves, and data for programs
(JSON, CSV) stays as it is. Called by `main` and every `<x>_commands`.
"""

from __future__ import annotations

import sys

from eml_models.wording import harmless


def tell(text: str) -> None:
    """Write lines to stderr. `print` serves, because click would write past a progress line there."""
    print(harmless(text), file=sys.stderr)


def tell_note(note: str) -> None:
    """Write a note to stderr: one line that a person should know beside the answer."""
    tell(f"note: {note}")


def put(data: str) -> None:
    """Write data to stdout unchanged: a table, JSON or CSV. click would take out characters for colours."""
    sys.stdout.write(data)
    sys.stdout.flush()


def say(text: str = "") -> None:
    """Write lines to stdout, for a verb whose answer is sentences."""
    put(harmless(text) + "\n")
