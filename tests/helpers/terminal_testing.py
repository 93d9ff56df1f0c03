"""A stream that says it is a terminal, for tests of what a terminal shows."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

CODE = re.compile(r"\x1b\[[0-9;]*m")
"""A command that sets a colour."""


@dataclass
class Kind:
    """The kind of a stream."""

    tty: bool = True
    encoding: str = "utf-8"


class Stream(io.StringIO):
    """A stream of a kind, which keeps what was written; a character that its encoding lacks is an error."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain StringIO has none
        return self.kind.encoding

    def isatty(self) -> bool:
        return self.kind.tty

    def write(self, text: str) -> int:
        text.encode(self.kind.encoding)
        return super().write(text)
