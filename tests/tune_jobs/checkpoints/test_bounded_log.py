"""A log keeps the beginning and the end of an output, and says how much is missing between them."""

from __future__ import annotations

import pytest

from tune_jobs.checkpoints.bounded_log import (
    HEAD_BYTES,
    LINE_CHARACTERS,
    TAIL_BYTES,
    BoundedLog,
    last_lines,
)

LINES = [f"line {number} of an output\n".encode() for number in range(40_000)]


def log_of(*parts: bytes) -> BoundedLog:
    log = BoundedLog()
    for part in parts:
        log.add(part)
    return log


def test_a_short_output_is_kept_to_the_byte() -> None:
    assert log_of(b"caf\xc3", b"\xa9\r\n", b"no end of line").text() == "café\r\nno end of line"
    assert log_of().text() == ""
    whole = b"x" * (HEAD_BYTES + TAIL_BYTES)
    assert log_of(whole).text() == whole.decode()


@pytest.mark.parametrize("step", [1, 7, len(LINES)])
def test_a_long_output_keeps_whole_lines_of_both_ends_and_counts_the_rest(step: int) -> None:
    parts = [b"".join(LINES[at : at + step]) for at in range(0, len(LINES), step)]
    text = log_of(*parts).text()
    head, mark, tail = text.partition("[... ")
    left_out, _, tail = tail.partition(" bytes left out ...]\n")
    output = b"".join(LINES).decode()
    assert mark
    assert output.startswith(head)
    assert head.endswith("\n")
    assert output.endswith(tail)
    assert tail.startswith("line ")
    assert len(head) + int(left_out.replace(",", "")) + len(tail) == len(output)
    assert HEAD_BYTES - 40 < len(head) <= HEAD_BYTES
    assert TAIL_BYTES - 40 < len(tail) <= TAIL_BYTES


def test_an_output_without_lines_is_cut_all_the_same() -> None:
    text = log_of(b"x" * 10_000_000).text()
    assert len(text) < HEAD_BYTES + TAIL_BYTES + 100
    assert "x\n[... 9,737,856 bytes left out ...]\nx" in text


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert log_of(b"a\xff\x00b").text() == "a�\x00b"


def test_memory_does_not_grow_with_the_output() -> None:
    log = BoundedLog()
    for _ in range(1000):
        log.add(b"y" * 10_000)
    assert len(log._head) + len(log._tail) <= HEAD_BYTES + 2 * TAIL_BYTES + 10_000


def test_skipped_bytes_count_as_left_out() -> None:
    log = log_of(b"a" * (HEAD_BYTES - 1) + b"\n", b"gone\n")
    log.skip(1000)
    log.add(b"b" * 10 + b"\n" + b"c" * TAIL_BYTES)
    assert f"a\n[... {1000 + 5 + 11:,} bytes left out ...]\nc" in log.text()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a\n\nb  \r\nc\n\n", ["b", "c"]),
        ("epoch  0%\repoch 50%\repoch 100%\r\ndone", ["epoch 100%", "done"]),
        ("x" * 1000, ["x" * LINE_CHARACTERS + "..."]),
    ],
)
def test_last_lines_are_those_that_a_terminal_would_show(text: str, lines: list[str]) -> None:
    assert last_lines(text, 2) == lines
