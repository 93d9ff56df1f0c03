"""What a terminal shows beside plain text: colours for a few meanings, and characters beyond ASCII.

The only place that knows colours. A colour repeats what a word or the order says already, so nothing is lost
without it. A pipe and a file get the text alone, and so does a terminal that shows no colours (``TERM=dumb``)
or whose user wants none (``NO_COLOR``). Called by `render`, `progress` and `tune_jobs.cli`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # rich is imported where there is a terminal, because --help answers without it
    from rich.color import ColorSystem


class Tone(StrEnum):
    """The meaning of a coloured text."""

    HEAD = "head"
    BEST = "best"
    FAILED = "failed"
    REFUSED = "refused"
    LIVE = "live"


STYLES: Mapping[Tone, str] = {
    Tone.HEAD: "bold",
    Tone.BEST: "bold #008a00",
    Tone.FAILED: "#ea0000",
    Tone.REFUSED: "#ae6000",
    Tone.LIVE: "#0074e8",
}
"""The tones as styles of rich. Each colour has a contrast of about 4.5 on black and on white, which is what
WCAG 2.2 asks of text (1.4.3); a test computes it. Terminals with 16 colours choose their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """Gives texts the colours that a stream shows.

    Attributes:
        system: how the stream takes colours; None if it shows none, and a text stays as it is.
    """

    system: ColorSystem | None = None

    def __call__(self, text: str, tone: Tone | None) -> str:
        """The text in a tone; blanks at its ends stay outside."""
        core = text.strip()
        if self.system is None or tone is None or not core:
            return text
        from rich.style import Style

        begin = len(text) - len(text.lstrip())
        painted = Style.parse(STYLES[tone]).render(core, color_system=self.system)
        return f"{text[:begin]}{painted}{text[begin + len(core) :]}"


PLAIN = Paint()


def paint_of(stream: TextIO) -> Paint:
    """The paint for a stream: plain unless it is a terminal with colours whose user wants them."""
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return PLAIN
    from rich.console import COLOR_SYSTEMS, Console

    system = Console(file=stream).color_system
    return PLAIN if system is None else Paint(system=COLOR_SYSTEMS[system])


def can_show(text: str, stream: TextIO) -> bool:
    """Whether the stream's encoding has all characters of the text."""
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
