"""What a journal gives back after a torn write, damage, or a newer version."""

from __future__ import annotations

import json
import zlib

import pytest
from store_testing import event, report, start, trial

from tune_jobs.store.columns.convert import as_plain
from tune_jobs.store.columns.schema import SCHEMA_VERSION
from tune_jobs.store.format.journal import encode_line, read_journal
from tune_jobs.study.rows import Row


def line_of(*rows: Row, first_seq: int = 1) -> bytes:
    return encode_line(
        [(r.table, {**as_plain(r), "seq": seq}) for seq, r in enumerate(rows, start=first_seq)]
    )


LINES = [line_of(start(0)), line_of(report(0, 1), trial(0), first_seq=2), line_of(event(), first_seq=4)]


def seqs_of(data: bytes) -> list[int]:
    return [row.seq for row in read_journal(data, "j").rows]


def test_journal_cut_at_any_byte_gives_whole_lines_only() -> None:
    data = b"".join(LINES)
    ends = [len(LINES[0]), len(LINES[0] + LINES[1]), len(data)]
    for cut in range(len(data) + 1):
        content = read_journal(data[:cut], "j")
        whole = sum(end <= cut for end in ends)
        assert [row.seq for row in content.rows] == [1, 2, 3, 4][: (0, 1, 3, 4)[whole]]
        assert content.torn == (cut not in (0, *ends))
        assert content.damaged_lines == ()


def test_rows_that_were_appended_together_are_all_there_or_none() -> None:
    assert seqs_of(LINES[0] + LINES[1][:-1]) == [1]


@pytest.mark.parametrize("position", [0, 5, 12, 25, -2])
def test_a_changed_byte_loses_its_line_and_is_named(position: int) -> None:
    damaged = bytearray(LINES[1])
    damaged[position] ^= 0x01
    content = read_journal(LINES[0] + bytes(damaged) + LINES[2], "j")
    assert [row.seq for row in content.rows] == [1, 4]
    assert content.damaged_lines == (2,)
    assert not content.torn


def test_zeros_and_foreign_lines_are_damage() -> None:
    for foreign in (b"\0" * 40 + b"\n", b"\n", b"hello\n", b"\r\n", b'{"rows":[]}\n'):
        assert read_journal(foreign + LINES[0], "j").damaged_lines == (1,)


def test_a_whole_line_that_is_no_row_is_damage() -> None:
    for rest in (b'"v":2,"rows":[{"table":"trials"}]}\n', b'"v":2,"rows":[{"table":"nothing"}]}\n'):
        line = b'{"crc32":"%08x",%b' % (zlib.crc32(rest), rest)
        assert read_journal(line, "j").damaged_lines == (1,)


def test_a_line_is_plain_json() -> None:
    data = json.loads(LINES[1])
    assert data["v"] == SCHEMA_VERSION
    assert [(row["table"], row["seq"]) for row in data["rows"]] == [("reports", 2), ("trials", 3)]
