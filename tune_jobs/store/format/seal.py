"""A seal in each published file: whether it still is, byte for byte, what this store wrote.

Parquet's pages have checksums, its footer and the headers of its pages have none: one byte changed there can
rename a column, or change the bounds by which a reader skips rows, and nothing is noticed. So twelve bytes
stand between the last page and the footer, where no reader looks: a mark, the CRC-32 of all that is before
them, and the CRC-32 of the footer. The file stays plain Parquet.

A sealed file's rows were checked before they were acknowledged. A file without a seal was written anew by
somebody else's program: it may be right, and each of its rows is checked (`segments`).
"""

from __future__ import annotations

import zlib
from typing import Protocol

MARK = b"TJs1"
_SEAL = len(MARK) + 8
_MAGIC = b"PAR1"
_END = 4 + len(_MAGIC)
WHOLE_BYTES = 1 << 20
"""Up to this size the whole file is checked when it is opened, which costs less than a millisecond. Of a
larger (compacted) one that is its footer: its pages are checked when they are read."""


class SealBrokenError(ValueError):
    """The bytes are not those that were sealed."""


class Readable(Protocol):
    """A file at random places."""

    def size(self) -> int: ...

    def read_at(self, nbytes: int, offset: int) -> bytes: ...


def sealed(data: bytes) -> bytes:
    """A Parquet file with its seal."""
    start = len(data) - _END - int.from_bytes(data[-_END : -len(_MAGIC)], "little")
    before, footer = data[:start], data[start:]
    return b"".join((before, MARK, _crc(before), _crc(footer), footer))


def is_sealed(file: Readable) -> bool:
    """Whether a file has a seal; no Parquet file has none.

    Raises:
        SealBrokenError: it has one, and other bytes.
    """
    size = file.size()
    first = max(0, size - WHOLE_BYTES)
    tail = file.read_at(size - first, first)
    if len(tail) < _END + _SEAL or tail[-len(_MAGIC) :] != _MAGIC:
        return False
    footer_size = int.from_bytes(tail[-_END : -len(_MAGIC)], "little") + _END
    if footer_size + _SEAL > size:
        return False
    if footer_size + _SEAL > len(tail):
        first = size - footer_size - _SEAL
        tail = file.read_at(size - first, first)
    start = len(tail) - footer_size
    seal = tail[start - _SEAL : start]
    if not seal.startswith(MARK):
        return False
    if seal[-4:] != _crc(tail[start:]):
        raise SealBrokenError("its footer does not match its checksum")
    if first == 0 and seal[4:8] != _crc(tail[: start - _SEAL]):
        raise SealBrokenError("its pages do not match their checksum")
    return True


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
