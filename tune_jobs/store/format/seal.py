"""A seal in each published file, which shows that its bytes are those that this store wrote.

Parquet has checksums for pages, but none for the footer and the headers of pages. A changed byte there can
rename a column, or change the bounds by which a reader skips rows, without any error. So twelve bytes stand
between the last page and the footer, where no reader looks: a mark, the CRC-32 of all bytes before the mark,
and the CRC-32 of the footer. The file stays plain Parquet.

The rows of a sealed file were checked before they were acknowledged. A file without a seal was rewritten by
another program. It may be correct, so each of its rows is checked (`segments`). `publishing` writes seals.
"""

from __future__ import annotations

import zlib
from typing import Protocol

MARK = b"TJs1"
_SEAL = len(MARK) + 8
_MAGIC = b"PAR1"
_END = 4 + len(_MAGIC)
WHOLE_BYTES = 1 << 20
"""The size up to which opening a file checks all of it, which takes less than a millisecond. Of a larger
(compacted) file it checks the footer alone; the checksums of pages are checked on reading."""


class SealBrokenError(ValueError):
    """The bytes are not those that were sealed."""


class Readable(Protocol):
    """A file that can be read at any offset."""

    def size(self) -> int: ...

    def read_at(self, nbytes: int, offset: int) -> bytes: ...


def sealed(data: bytes) -> bytes:
    """A Parquet file with its seal."""
    start = len(data) - _END - int.from_bytes(data[-_END : -len(_MAGIC)], "little")
    before, footer = data[:start], data[start:]
    return b"".join((before, MARK, _crc(before), _crc(footer), footer))


def is_sealed(file: Readable) -> bool:
    """Whether a file has a seal; False for a file that is not Parquet.

    Raises:
        SealBrokenError: the file has a seal, and its bytes do not match it.
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
