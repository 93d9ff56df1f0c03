"""The journal: rows that are acknowledged but not yet published.

A journal holds one batch. Each line is one acknowledgement: JSON with the rows that were appended together,
and a CRC-32 of the rest of the line. So of rows that were appended together, all are there or none. A last
line without its end is torn: its writer died while writing it, so it was never acknowledged, and it is
dropped. Any other line whose checksum is wrong, or whose rows are not valid, was damaged later;
`read_journal` names it and keeps the rest.

Called by `writer` (append), and by `recovery`, `examining`, `repair` and `snapshot` (read).
"""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tune_jobs.errors import StoreVersionError
from tune_jobs.store.columns.convert import as_json_data, row_from_json_data
from tune_jobs.store.columns.schema import SCHEMA_VERSION
from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.layout import journal_key
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.rows import Row

_PREFIX = b'{"crc32":"'
_HEAD = len(_PREFIX) + len('12345678",')
_ROW_BEGINS = re.compile(rb'"table":"(starts|reports|trials|events)"')
_NUMBER = re.compile(rb'"number":([0-9]{1,10})[,}]')


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedLine:
    """A line that cannot be read.

    Attributes:
        number: of the line, from 1.
        held: table and trial number of each row of the line, as far as its bytes show; None for a number
            that cannot be read.
    """

    number: int
    reason: str
    held: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContent:
    """The content of a journal.

    Attributes:
        path: for messages.
        rows: every readable row, in `seq` order.
        torn: whether a last line without its end was dropped.
        damaged: the complete lines that cannot be read.
    """

    path: str
    rows: tuple[Row, ...]
    torn: bool
    damaged: tuple[DamagedLine, ...]

    @property
    def damaged_lines(self) -> tuple[int, ...]:
        """The numbers of the damaged lines."""
        return tuple(line.number for line in self.damaged)

    def is_foreign(self, study: str) -> bool:
        """Whether it holds rows of another study, as a copy from that study's folder does."""
        return any(row.study != study for row in self.rows)

    def describe_damage(self) -> str:
        """The numbers of its damaged lines and the reasons, in words."""
        lines = ", ".join(map(str, self.damaged_lines))
        reasons = "; ".join(dict.fromkeys(line.reason for line in self.damaged))
        return (
            f"journal {self.path!r} is damaged in line {lines} ({reasons}); the {len(self.rows)} rows of its"
            " other lines can be read"
        )

    def describe_foreign(self) -> str:
        """The message for a journal of another study."""
        studies = ", ".join(sorted({repr(row.study) for row in self.rows}))
        return f"journal {self.path!r} holds rows of study {studies}: it is a copy; move it out of the store"


def encode_line(rows: Sequence[tuple[str, dict[str, Any]]]) -> bytes:
    """One line of checked rows, each with the name of its table."""
    data = {"v": SCHEMA_VERSION, "rows": [{"table": table, **as_json_data(plain)} for table, plain in rows]}
    rest = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)[1:].encode() + b"\n"
    return b'%b%08x",%b' % (_PREFIX, zlib.crc32(rest), rest)


def decode_line(line: bytes, name: str) -> list[Row]:
    """The rows of one line (with its end).

    Raises:
        ValueError: the line is damaged.
        StoreVersionError: the line is undamaged, and of another version.
    """
    rest = line[_HEAD:]
    if line[:_HEAD] != b'%b%08x",' % (_PREFIX, zlib.crc32(rest)):
        raise ValueError("the checksum does not match")
    data = parse_object(line)
    version = data["v"]
    if not isinstance(version, int):
        raise ValueError(f"its version is {version!r}")
    if version != SCHEMA_VERSION:
        raise StoreVersionError(name, found=version, known=SCHEMA_VERSION)
    return [row_from_json_data(row.pop("table"), row) for row in data["rows"]]


def read_journal(data: bytes, name: str) -> JournalContent:
    """The readable rows and the damaged lines in a journal's bytes; `name` is for messages.

    Raises:
        StoreVersionError: the journal is of another version.
    """
    rows: list[Row] = []
    damaged = []
    for number, line in enumerate(io.BytesIO(data), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            rows += decode_line(line, name)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            damaged.append(DamagedLine(number=number, reason=_reason(error), held=tuple(_held(line))))
    rows.sort(key=lambda row: row.seq)
    torn = bool(data) and not data.endswith(b"\n")
    return JournalContent(path=name, rows=tuple(rows), torn=torn, damaged=tuple(damaged))


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError):
        return str(error)
    return f"its rows are not valid ({type(error).__name__}: {error})"


def _held(line: bytes) -> Iterator[tuple[str, int | None]]:
    """The table and the trial of each row of a damaged line, as far as its bytes show."""
    parts = _ROW_BEGINS.split(line)[1:]  # a capturing pattern splits into table, rest, table, rest, ...
    for table, rest in zip(parts[::2], parts[1::2], strict=True):
        number = _NUMBER.search(rest)
        yield table.decode(), int(number[1]) if number else None


def read_batch(files: Files, study: str, batch: str) -> JournalContent | None:
    """The content of a batch's journal; None if there is no such file."""
    key = journal_key(study, batch)
    data = files.read(key)
    return None if data is None else read_journal(data, files.describe(key))
