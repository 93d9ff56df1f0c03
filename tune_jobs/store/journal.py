"""The journal: rows that are acknowledged but not yet published.

A journal holds one batch. Each line is one acknowledgement: JSON with the rows that were appended together
and a CRC-32 of the rest of the line. So rows that were appended together are all there or none. A line
without its end is torn: the writer died in the middle, it was never acknowledged, and it is dropped. Any
other line that does not match its checksum was damaged later; `read_journal` says so and keeps the rest.

Called by `writer` (append), `recovery` and `snapshot` (read).
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tune_jobs.errors import StoreError
from tune_jobs.store.convert import as_json_data, row_from_json_data
from tune_jobs.trial import Row

JOURNAL_VERSION = 1
_PREFIX = b'{"crc32":"'
_HEAD = len(_PREFIX) + len('12345678",')


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContent:
    """What a journal holds.

    Attributes:
        rows: every readable row, in `seq` order.
        torn: whether a last line without its end was dropped.
        damaged_lines: numbers (from 1) of complete lines that cannot be read.
    """

    rows: tuple[Row, ...]
    torn: bool
    damaged_lines: tuple[int, ...]


def encode_line(rows: Sequence[tuple[str, dict[str, Any]]]) -> bytes:
    """One line of checked rows, each with the name of its table."""
    data = {"v": JOURNAL_VERSION, "rows": [{"table": table, **as_json_data(plain)} for table, plain in rows]}
    rest = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)[1:].encode() + b"\n"
    return b'%b%08x",%b' % (_PREFIX, zlib.crc32(rest), rest)


def decode_line(line: bytes, name: str) -> list[Row]:
    """The rows of one line (with its end).

    Raises:
        ValueError: it is damaged.
        StoreError: it is whole, but of a newer version.
    """
    rest = line[_HEAD:]
    if line[:_HEAD] != b'%b%08x",' % (_PREFIX, zlib.crc32(rest)):
        raise ValueError("the checksum does not match")
    data = json.loads(line)
    if data["v"] != JOURNAL_VERSION:
        raise StoreError(
            f"journal {name} was written by a newer version (its format is {data['v']}, this version reads"
            f" {JOURNAL_VERSION}); update tune-jobs"
        )
    return [row_from_json_data(row.pop("table"), row) for row in data["rows"]]


def read_journal(data: bytes, name: str) -> JournalContent:
    """Everything readable in a journal's bytes; `name` is for messages.

    Raises:
        StoreError: it was written by a newer version.
    """
    rows: list[Row] = []
    damaged = []
    for number, line in enumerate(io.BytesIO(data), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            rows += decode_line(line, name)
        except (ValueError, TypeError, KeyError, AttributeError):
            damaged.append(number)
    rows.sort(key=lambda row: row.seq)
    torn = bool(data) and not data.endswith(b"\n")
    return JournalContent(rows=tuple(rows), torn=torn, damaged_lines=tuple(damaged))
