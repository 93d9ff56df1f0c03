"""The rows of a snapshot as values. For a reader that comes again, each published file is parsed once.

Parsing takes nearly all the time of a reading: 5 of 9 s of a study of 20,000 trials and 98,000 reports, and
with the files of earlier readings 0.4 s in all. Called by `tune_jobs.store.reader`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from tune_jobs.store.columns.convert import parse_rows, rows_to_arrow
from tune_jobs.store.columns.schema import ROW_TYPE_OF
from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.segments import UNREADABLE
from tune_jobs.store.reading.snapshot import TableSnapshot
from tune_jobs.study.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedTable:
    """Files of a table that were parsed.

    Attributes:
        keys: of the files.
        problems: damaged files and rows among them, in words.
    """

    table: pa.Table
    keys: frozenset[str] = frozenset()
    rows: tuple[Row, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class ParsedFiles:
    """The rows of published files by table, for a reader that reads a study again and again.

    A published file never changes, so each is parsed once. If one of them is gone (a compaction, a deletion),
    all files of its table are parsed again.
    """

    by_table: dict[str, ParsedTable] = field(default_factory=dict)

    def read(
        self, snapshot: Mapping[str, TableSnapshot], files: Files, problems: list[str]
    ) -> tuple[dict[str, pa.Table], list[Row]]:
        """The tables in the order of `seq`, and their rows; the same as without parsed files."""
        tables: dict[str, pa.Table] = {}
        rows: dict[int, Row] = {}
        for name, part in snapshot.items():
            held = self.by_table[name] = self._published(part, files, problems)
            fresh = rows_to_arrow(name, part.fresh)
            whole = pa.concat_tables([held.table, fresh]) if part.fresh else held.table
            tables[name] = whole.sort_by([("study", "ascending"), ("seq", "ascending")])
            for row in (*held.rows, *part.fresh):
                rows.setdefault(row.seq, row)
        return tables, [rows[seq] for seq in sorted(rows)]

    def _published(self, part: TableSnapshot, files: Files, problems: list[str]) -> ParsedTable:
        held = self.by_table.get(part.table)
        keys = frozenset(segment.key for segment in part.segments)
        if held is None or not held.keys <= keys:
            held = ParsedTable(table=rows_to_arrow(part.table, []))
        new = tuple(segment for segment in part.segments if segment.key not in held.keys)
        problems += held.problems
        if not new:
            return held
        added, table = _read_whole(replace(part, segments=new, fresh=()), files, problems)
        met: list[str] = []
        rows = parse_tables({part.table: table}, files, met)
        problems += met
        return ParsedTable(
            keys=held.keys.union(segment.key for segment in added.segments),
            table=pa.concat_tables([held.table, table]),
            rows=(*held.rows, *rows),
            problems=(*held.problems, *met),
        )


def _read_whole(part: TableSnapshot, files: Files, problems: list[str]) -> tuple[TableSnapshot, pa.Table]:
    """The files of a table that can be read now, and their rows; the others count as not parsed yet."""
    try:
        return part, part.dataset().to_table()
    except UNREADABLE:
        whole = part.without_damaged(files, problems)
        return whole, whole.dataset().to_table()


def parse_tables(tables: Mapping[str, pa.Table], files: Files, problems: list[str]) -> list[Row]:
    """The rows of tables in `seq` order; damaged ones are added to `problems`."""
    rows: dict[int, Row] = {}
    for table, read in tables.items():
        parsed = parse_rows(ROW_TYPE_OF[table], read)
        problems += [damaged.describe(files.describe(f"{table}/")) for damaged in parsed.damaged]
        for row in parsed.rows:
            rows.setdefault(row.seq, row)
    return [rows[seq] for seq in sorted(rows)]
