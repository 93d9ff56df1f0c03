"""Each row of a study counts once, also if several files hold it.

Two files of a table normally hold different ranges of `seq`. So it is enough to compare the bounds that the
footers state; only where bounds overlap are the `seq`s read. This finds a file that was copied within its
folder, and a journal whose rows a published file holds. Changes nothing. Called by `snapshot`, `examining`
and `compact`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.layout import compaction_of
from tune_jobs.store.format.segments import Segment, read_segments
from tune_jobs.study.rows import Row


def each_once(
    files: Files, segments: Sequence[Segment], fresh: Iterable[Row], problems: list[str]
) -> tuple[list[Segment], list[Row]]:
    """The segments and journal rows of one study and table, without rows that an earlier segment holds.

    Raises:
        StoreCorruptError: bounds of two files overlap, and a page of one of them is damaged.
    """
    ranges = [segment.seq_range() or NOTHING for segment in segments]
    kept = list(segments)
    if not _are_apart(ranges):
        for index, (segment, bounds) in enumerate(zip(segments, ranges, strict=True)):
            others = [
                other
                for other, its in zip(kept[:index], ranges[:index], strict=True)
                if _overlap(bounds, its) and not _of_one_compaction(segment, other)
            ]
            if others:
                kept[index] = _without(files, segment, others, problems)
    return kept, _rows_once(files, kept, ranges, fresh, problems)


NOTHING = (1, 0)
"""The bounds of no rows; they overlap with nothing."""


def _are_apart(ranges: Sequence[tuple[int, int]]) -> bool:
    """Whether no two ranges overlap; sorted first, because a long study has thousands of files."""
    ordered = sorted(its for its in ranges if its != NOTHING)
    return all(one[1] < other[0] for one, other in pairwise(ordered))


def _without(files: Files, segment: Segment, others: Sequence[Segment], problems: list[str]) -> Segment:
    """The segment without the rows whose `seq` is in one of the others."""
    rows = read_segments(files, segment.table, [segment])
    known = pc.is_in(rows.column("seq"), value_set=_seqs(files, others))
    num_known = pc.sum(known).as_py() or 0
    if not num_known:
        return segment
    problems.append(
        f"{num_known} of {rows.num_rows} rows of {files.describe(segment.key)!r} are in an earlier file too,"
        " and count once here. If the file is a copy, move it out of the store: other programs count its rows"
    )
    return replace(segment, rows=rows.filter(pc.invert(known)))


def _rows_once(
    files: Files,
    segments: Sequence[Segment],
    ranges: Sequence[tuple[int, int]],
    fresh: Iterable[Row],
    problems: list[str],
) -> list[Row]:
    rows: dict[int, Row] = {}
    num_known = 0
    for row in fresh:
        num_known += row.seq in rows
        rows.setdefault(row.seq, row)
    if rows:
        bounds = min(rows), max(rows)
        others = [other for other, its in zip(segments, ranges, strict=True) if _overlap(bounds, its)]
        for seq in _seqs(files, others).to_pylist() if others else ():
            num_known += rows.pop(seq, None) is not None
    if num_known:
        problems.append(f"{num_known} rows of a journal are in another file too, and count once")
    return list(rows.values())


def _seqs(files: Files, segments: Sequence[Segment]) -> pa.Array:
    rows = read_segments(files, segments[0].table, segments, columns=["seq"])
    return rows.column("seq").combine_chunks()


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _of_one_compaction(one: Segment, other: Segment) -> bool:
    """Whether one compaction wrote both, which puts each row in one of its files only."""
    ticket = compaction_of(one.name)
    return ticket is not None and ticket == compaction_of(other.name)
