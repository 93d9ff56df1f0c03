"""How the command line writes: sentences for people on stderr or stdout, data on stdout.

Rows, names of files, logs and errors may hold text from anyone, with commands to a terminal in it. Sentences
pass `harmless`, so that a terminal obeys none of them. Tables do so by themselves, and data for programs
(JSON, CSV) stays as it is. Called by `main` and every `<x>_commands`.

A stream that lacks a character, as where LANG names no UTF-8, gets its escape ``\\uXXXX``. JSON reads that as
the character.
"""

from __future__ import annotations

import codecs
import re
import sys

from eml_models.wording import harmless
from tune_jobs.report.terminal import Tone, can_show, paint_of

LABELS = {"error": Tone.FAILED, "warning": Tone.REFUSED, "note": Tone.LIVE}
"""The tones of the words that begin a line on stderr, in a terminal with colours."""

LABEL = re.compile(rf"^(?:{'|'.join(LABELS)}):", re.IGNORECASE | re.MULTILINE)

RULE = re.compile("^ \N{BOX DRAWINGS LIGHT HORIZONTAL}+$", re.MULTILINE)
"""The line under the head of a table, for which ASCII has minus signs."""

ESCAPE = "tune_jobs.json_escape"
"""The name of the error handler for characters that a stream has not."""


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2)), error.end


codecs.register_error(ESCAPE, _escaped)


def tell(text: str) -> None:
    """Write lines to stderr. `print` serves, because click would write past a progress line there."""
    paint = paint_of(sys.stderr)
    shown = LABEL.sub(lambda found: paint(found[0], LABELS[found[0][:-1].lower()]), harmless(text))
    print(shown, file=sys.stderr)


def tell_note(note: str) -> None:
    """Write a note to stderr: one line that a person should know beside the answer."""
    tell(f"note: {note}")


def put(data: str) -> None:
    """Write data to stdout unchanged: a table, JSON or CSV. click would take out characters for colours."""
    if not can_show(data, sys.stdout):
        encoding = sys.stdout.encoding or "ascii"
        data = RULE.sub(lambda found: f" {'-' * (len(found[0]) - 1)}", data)
        data = data.encode(encoding, ESCAPE).decode(encoding)
    sys.stdout.write(data)
    sys.stdout.flush()


def say(text: str = "") -> None:
    """Write lines to stdout, for a verb whose answer is sentences."""
    put(harmless(text) + "\n")
