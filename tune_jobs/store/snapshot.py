"""What a reader sees of a store at one instant: published segments, and over them the journals.

Never writes and takes no lock. Of each study it sees every row that was acknowledged before it began, each
once, and up to its last one without a gap, whatever the writer does meanwhile. It lists journals, then
segments, reads the journals that are there then, and lists the segments again. Of these it takes the batches
up to the newest that it met before (batches of a study follow each other, also in their names), except those
whose journal it read: they are seen as their journal was. A batch that was met and has no journal any more is
published in full, because its journal goes last. Listing and then reading only once misses rows, or shows a
trial's reports and not its end.

A study that is compacted meanwhile is noticed by its compacted files, which are others than those first met,
or by a file that is gone: `SegmentGoneError`, and the reader takes a new snapshot.

A damaged file is named in `problems`, and the rest is read. Called by `reader`, and by `writer` for the rows
that a study begins with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.dataset as ds

from tune_jobs.errors import SegmentGoneError, StoreCorruptError, StoreError
from tune_jobs.store.convert import rows_from_arrow, rows_to_arrow
from tune_jobs.store.files import Files
from tune_jobs.store.journal import JournalContent, read_journal
from tune_jobs.store.layout import (
    COMPACTED,
    SEGMENT_SUFFIX,
    journal_key,
    old_folder,
    segment_key,
    study_of_folder,
    table_folder,
)
from tune_jobs.store.recovery import describe_damage, list_batches
from tune_jobs.store.schema import ROW_TYPE_OF
from tune_jobs.store.segments import as_dataset, check_pages, open_segment, read_segments
from tune_jobs.trial import ROW_TYPES, Row

WAY_OUT = (
    "Restore it from a backup, or move it out of the store and run again: trials whose rows it held are then"
    " unfinished"
)


@dataclass(slots=True, kw_only=True)
class Segments:
    """Footers that have been read; segments never change, so they are read once."""

    files: Files
    opened: dict[str, ds.ParquetFileFragment] = field(default_factory=dict)

    def open(self, key: str, table: str) -> ds.ParquetFileFragment:
        if key not in self.opened:
            self.opened[key] = open_segment(self.files, key, table)
        return self.opened[key]

    def forget(self) -> None:
        """Forget every footer; files may have gone."""
        self.opened.clear()

    def open_if_whole(self, key: str, table: str, problems: list[str]) -> list[ds.ParquetFileFragment]:
        """The segment; nothing if it is damaged, which is added to `problems`."""
        try:
            return [self.open(key, table)]
        except SegmentGoneError:
            raise
        except StoreCorruptError as error:
            problems.append(str(error))
            return []


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSnapshot:
    """One table: its published segments, and the rows that are only in journals."""

    table: str
    segments: tuple[ds.ParquetFileFragment, ...]
    fresh: tuple[Row, ...]

    def dataset(self) -> ds.Dataset:
        """All rows, read when they are asked for."""
        published = as_dataset(self.table, self.segments)
        if not self.fresh:
            return published
        fresh = ds.InMemoryDataset(rows_to_arrow(self.table, self.fresh))
        return ds.dataset([published, fresh])

    def without_damaged(self, files: Files, problems: list[str]) -> TableSnapshot:
        """This table without the segments that have a damaged page; adds them to `problems`."""
        whole = []
        for segment in self.segments:
            try:
                check_pages(files, self.table, segment)
                whole.append(segment)
            except SegmentGoneError:
                raise
            except StoreCorruptError as error:
                problems.append(str(error))
        return TableSnapshot(table=self.table, segments=tuple(whole), fresh=self.fresh)

    def read(self, files: Files, problems: list[str]) -> pa.Table:
        """All rows, in the order of study and `seq`."""
        try:
            rows = self.dataset().to_table()
        except (pa.ArrowException, OSError):
            rows = self.without_damaged(files, problems).dataset().to_table()
        return rows.sort_by([("study", "ascending"), ("seq", "ascending")])


def take_snapshot(
    segments: Segments, tables: Sequence[str], *, study: str | None = None, problems: list[str]
) -> dict[str, TableSnapshot]:
    """The named tables of one study, or of all; what cannot be read is added to `problems`.

    Raises:
        SegmentGoneError: a study was compacted or deleted meanwhile; take another.
    """
    studies = _list_studies(segments.files) if study is None else [study]
    instants = {name: _take_instant(segments.files, name, problems) for name in studies}
    return {table: _snapshot_table(segments, table, instants, problems) for table in tables}


def read_published_rows(files: Files, study: str) -> list[Row]:
    """Every published row of a study in `seq` order; for its writer, after recovery.

    Raises:
        StoreCorruptError: a file is damaged; a search must not go on from half a history.
    """
    rows: dict[int, Row] = {}
    for row_type in ROW_TYPES:
        try:
            batches = _list_published(files, row_type.table, study)
            keys = [segment_key(row_type.table, study, batch) for batch in batches]
            opened = [open_segment(files, key, row_type.table) for key in keys]
            table = read_segments(files, row_type.table, opened)
        except StoreCorruptError as error:
            raise StoreCorruptError(f"{error}. {WAY_OUT}") from error
        for row in rows_from_arrow(row_type, table):
            if row.study == study:
                rows.setdefault(row.seq, row)
    return [rows[seq] for seq in sorted(rows)]


def snapshot_rows(snapshot: dict[str, TableSnapshot], files: Files, problems: list[str]) -> list[Row]:
    """The rows of a snapshot in `seq` order."""
    rows: dict[int, Row] = {}
    for table, part in snapshot.items():
        for row in rows_from_arrow(ROW_TYPE_OF[table], part.read(files, problems)):
            rows.setdefault(row.seq, row)
    return [rows[seq] for seq in sorted(rows)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One study at one instant: its newest batch, each table's compacted files, what its journals held."""

    newest: str
    compacted: Mapping[str, Sequence[str]]
    journals: Mapping[str, JournalContent]


def _list_studies(files: Files) -> list[str]:
    """Every study that has a folder under some table."""
    folders = (folder for row_type in ROW_TYPES for folder in files.list_names(row_type.table))
    return sorted({name for folder in folders if (name := study_of_folder(folder)) is not None})


def _take_instant(files: Files, study: str, problems: list[str]) -> Instant:
    # journals before the segments, else a batch that goes between the two is missed
    met = {*list_batches(files, study)}
    published = {row_type.table: _list_published(files, row_type.table, study) for row_type in ROW_TYPES}
    met |= {batch for batches in published.values() for batch in batches}
    batches = list_batches(files, study)
    return Instant(
        newest=max((*met, *batches), default=""),
        compacted={table: _compacted(batches) for table, batches in published.items()},
        journals=_read_journals(files, study, batches, problems),
    )


def _read_journals(
    files: Files, study: str, batches: Sequence[str], problems: list[str]
) -> dict[str, JournalContent]:
    """The journals that are still there and can be read."""
    journals = {}
    for batch in batches:
        path = files.describe(journal_key(study, batch))
        try:
            data = files.read(journal_key(study, batch))
            if data is None:
                continue
            journals[batch] = read_journal(data, path)
        except StoreError as error:
            problems.append(str(error))
            continue
        if journals[batch].damaged_lines:
            problems.append(describe_damage(journals[batch], path))
    return journals


def _snapshot_table(
    segments: Segments, table: str, instants: Mapping[str, Instant], problems: list[str]
) -> TableSnapshot:
    opened: list[ds.ParquetFileFragment] = []
    fresh: list[Row] = []
    for study, instant in instants.items():
        published = _list_published(segments.files, table, study)
        if _compacted(published) != instant.compacted[table]:
            raise SegmentGoneError(f"study {study!r} in {segments.files.describe('')!r} is being compacted")
        journals = {
            batch: content
            for batch, content in instant.journals.items()
            if not (content.damaged_lines and batch in published)
        }
        for batch in published:
            if batch <= instant.newest and batch not in journals:
                opened += segments.open_if_whole(segment_key(table, study, batch), table, problems)
        fresh += [row for content in journals.values() for row in content.rows if row.table == table]
    return TableSnapshot(table=table, segments=tuple(opened), fresh=tuple(fresh))


def _list_published(files: Files, table: str, study: str) -> list[str]:
    names = files.list_names(table_folder(table, study))
    if not names and files.exists(old_folder(study)):
        raise SegmentGoneError(
            f"{files.describe(table_folder(table, study))!r} was moved away by a compaction that was cut"
            " short; run compact again"
        )
    return [name.removesuffix(SEGMENT_SUFFIX) for name in names if name.endswith(SEGMENT_SUFFIX)]


def _compacted(batches: Sequence[str]) -> list[str]:
    return [batch for batch in batches if batch.startswith(COMPACTED)]
