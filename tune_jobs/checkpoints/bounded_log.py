"""The output of an attempt, within a fixed number of bytes: its beginning and its end.

Pure: knows no file. `tune_jobs.on_ray.worker.capturing` fills it, and `logs` keeps its text.
"""

from __future__ import annotations

import re

HEAD_BYTES = 64 << 10
"""The first bytes of an output that are kept: versions, settings, the first warnings."""

TAIL_BYTES = 192 << 10
"""The last bytes of an output that are kept: what came before a failure."""

LEFT_OUT = "[... {count:,} bytes left out ...]"
"""The line that stands in a log for the bytes between its head and its tail."""


COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""The command by which a program changes the colour of a terminal's text."""

LINE_CHARACTERS = 300
"""The most characters of a line that `last_lines` gives."""


class BoundedLog:
    """The first `HEAD_BYTES` and the last `TAIL_BYTES` of the bytes that were added.

    Attributes:
        num_bytes: how many bytes were added or skipped.
    """

    def __init__(self) -> None:
        self._head, self._tail = bytearray(), bytearray()
        self.num_bytes = 0

    def add(self, data: bytes) -> None:
        """Add bytes; those between the head and the tail are forgotten."""
        self.num_bytes += len(data)
        taken = min(len(data), HEAD_BYTES - len(self._head))
        self._head += data[:taken]
        self._tail += data[taken:]
        if len(self._tail) > 2 * TAIL_BYTES:  # now and then, so that a byte is moved once on average
            del self._tail[:-TAIL_BYTES]

    def skip(self, count: int) -> None:
        """Count bytes that nobody reads, because at least `TAIL_BYTES` will follow; the head is full."""
        self.num_bytes += count
        self._tail.clear()

    def text(self) -> str:
        """What is kept, with a line that counts the bytes left out, if any are. Bytes that are no UTF-8
        become U+FFFD."""
        if self.num_bytes <= HEAD_BYTES + TAIL_BYTES:
            return _decoded(self._head + self._tail)
        head, tail = bytes(self._head), bytes(self._tail[-TAIL_BYTES:])
        head = head[: head.rfind(b"\n") + 1] or head  # whole lines, where there are lines
        tail = tail[tail.find(b"\n") + 1 :] or tail
        mark = LEFT_OUT.format(count=self.num_bytes - len(head) - len(tail))
        first, last = _decoded(head), _decoded(tail)
        return f"{first}{'' if first.endswith(chr(10)) else chr(10)}{mark}\n{last}"


def terminal_lines(text: str) -> list[str]:
    """The lines of a log as a terminal shows them at last, without colours.

    Of a line that was written over (a progress bar) only its last state is given.
    """
    plain = COLOURS.sub("", text).removesuffix("\n")
    return [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in plain.split("\n")] if plain else []


def last_lines(text: str, count: int) -> list[str]:
    """The last of `terminal_lines` that are not blank, each cut to `LINE_CHARACTERS`."""
    shown = [line for line in terminal_lines(text) if line][-count:]
    return [line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]}..." for line in shown]


def _decoded(data: bytes | bytearray) -> str:
    return data.decode(errors="replace")
