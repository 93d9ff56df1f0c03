"""A store at one instant, as a reader sees it: published segments, and the rows that are only in journals.

Never writes and takes no lock. Of each study a snapshot holds every row that was acknowledged before it was
begun. It holds each row once, and has no gap before its last row, also while a writer appends and publishes.

It is taken in four steps: list the journals, list the segments, read the journals that are there then, list
the segments again. Batches of a study follow each other, also in the order of their names. A batch whose
journal was read counts as its journal was. Any other batch, up to the newest one of the first three steps,
counts as published: a journal is removed last, so a batch without one is published in full. Listing and
reading only once would miss rows, or show the reports of a trial and not its end.

A compaction in between shows itself by other compacted files, or by a missing file. Then `SegmentGoneError`
is raised, and the reader takes a new snapshot.

Damaged and foreign files, damaged rows, and rows that a second file repeats are named in `problems`. The rest
is read, and each (study, seq) counts once. Called by `reader` and `latencies`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.dataset as ds

from tune_jobs.errors import SegmentGoneError, StoreCorruptError, StoreError, StoreVersionError
from tune_jobs.store.columns.convert import rows_to_arrow
from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.journal import JournalContent, read_batch
from tune_jobs.store.format.layout import COMPACTED, NO_ROWS, old_folder, segment_key, table_folder
from tune_jobs.store.format.listing import list_journals, list_published, list_studies
from tune_jobs.store.format.repeats import each_once
from tune_jobs.store.format.segments import UNREADABLE, Segment, as_dataset, open_segment, split_damaged
from tune_jobs.study.rows import ROW_TYPES, Row


@dataclass(slots=True, kw_only=True)
class Segments:
    """The opened segments of a store; a segment never changes, so each footer is read a single time."""

    files: Files
    opened: dict[str, Segment] = field(default_factory=dict)

    def open(self, key: str, table: str, *, study: str | None = None) -> Segment:
        if key not in self.opened:
            self.opened[key] = open_segment(self.files, key, table, study=study)
        return self.opened[key]

    def forget(self) -> None:
        """Forget every footer, because files may have been replaced."""
        self.opened.clear()

    def open_if_whole(
        self, key: str, table: str, problems: list[str], *, study: str | None = None
    ) -> list[Segment]:
        """The segment in a list, which is empty if it is damaged; omissions are added to `problems`."""
        try:
            segment = self.open(key, table, study=study)
        except SegmentGoneError:
            raise
        except StoreCorruptError as error:
            problems.append(str(error))
            return []
        problems += segment.problems
        return [segment]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSnapshot:
    """One table at one instant.

    Attributes:
        segments: the published files.
        fresh: the rows that are only in journals.
    """

    table: str
    segments: tuple[Segment, ...]
    fresh: tuple[Row, ...]

    def dataset(self) -> ds.Dataset:
        """All rows, as a dataset that reads them on demand."""
        published = as_dataset(self.table, self.segments)
        if not self.fresh:
            return published
        fresh = ds.InMemoryDataset(rows_to_arrow(self.table, self.fresh))
        return ds.dataset([published, fresh])

    @property
    def num_rows(self) -> int:
        """The number of rows, from the footers of the files and the rows of the journals."""
        return sum(segment.num_rows for segment in self.segments) + len(self.fresh)

    def without_damaged(self, files: Files, problems: list[str]) -> TableSnapshot:
        """This table without the segments that have a damaged page; adds them to `problems`."""
        return replace(self, segments=tuple(whole_segments(files, self.segments, problems)))

    def read(self, files: Files, problems: list[str]) -> pa.Table:
        """All rows, in the order of study and `seq`."""
        return self.columns(files, problems).sort_by([("study", "ascending"), ("seq", "ascending")])

    def columns(self, files: Files, problems: list[str], names: Sequence[str] | None = None) -> pa.Table:
        """All rows with these columns, or with all of them, in any order."""
        chosen = None if names is None else list(names)
        try:
            return self.dataset().to_table(columns=chosen)
        except UNREADABLE:
            return self.without_damaged(files, problems).dataset().to_table(columns=chosen)


def take_snapshot(
    segments: Segments, tables: Sequence[str], *, study: str | None = None, problems: list[str]
) -> dict[str, TableSnapshot]:
    """The named tables of one study, or of all; what cannot be read is added to `problems`.

    Raises:
        SegmentGoneError: a study was compacted or deleted meanwhile; take a new snapshot.
    """
    folders = [list_studies(segments.files, row_type.table) for row_type in ROW_TYPES]
    for folder in folders:
        problems += folder.problems(segments.files)
    studies = sorted({name for folder in folders for name in folder.names}) if study is None else [study]
    instants = {name: _take_instant(segments.files, name, problems) for name in studies}
    return {table: _snapshot_table(segments, table, instants, problems) for table in tables}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One study at one instant.

    Attributes:
        newest: the name of the newest batch.
        compacted: the names of the compacted files of each table.
        journals: the content of each journal, by batch.
    """

    newest: str
    compacted: Mapping[str, Sequence[str]]
    journals: Mapping[str, JournalContent]


def _take_instant(files: Files, study: str, problems: list[str]) -> Instant:
    # journals before segments: else a batch that is published in between is missed
    met = {*list_journals(files, study).names}
    published = {row_type.table: _published(files, row_type.table, study, problems) for row_type in ROW_TYPES}
    met |= {batch for batches in published.values() for batch in batches}
    journals = list_journals(files, study)
    problems += journals.problems(files)
    return Instant(
        newest=max((*met, *journals.names), default=""),
        compacted={table: _compacted(batches) for table, batches in published.items()},
        journals=_read_journals(files, study, journals.names, problems),
    )


def _read_journals(
    files: Files, study: str, batches: Sequence[str], problems: list[str]
) -> dict[str, JournalContent]:
    """The journals of this study that still exist and can be read, by batch."""
    journals = {}
    for batch in batches:
        try:
            content = read_batch(files, study, batch)
        except StoreVersionError:
            raise
        except StoreError as error:
            problems.append(str(error))
            continue
        if content is None:
            continue
        if content.is_foreign(study):
            problems.append(content.describe_foreign())
            continue
        journals[batch] = content
        if content.damaged:
            problems.append(content.describe_damage())
    return journals


def _snapshot_table(
    segments: Segments, table: str, instants: Mapping[str, Instant], problems: list[str]
) -> TableSnapshot:
    opened: list[Segment] = []
    fresh: list[Row] = []
    for study, instant in instants.items():
        published = _published(segments.files, table, study, problems)
        if _compacted(published) != instant.compacted[table]:
            raise SegmentGoneError(f"study {study!r} in {segments.files.describe('')!r} is being compacted")
        journals = {
            batch: content
            for batch, content in instant.journals.items()
            if not (content.damaged and batch in published)
        }
        own: list[Segment] = []
        for batch in published:
            if batch == NO_ROWS or (batch <= instant.newest and batch not in journals):
                key = segment_key(table, study, batch)
                own += segments.open_if_whole(key, table, problems, study=study)
        new = [row for content in journals.values() for row in content.rows if row.table == table]
        own, new = _each_once(segments.files, own, new, problems)
        opened += own
        fresh += new
    return TableSnapshot(table=table, segments=tuple(opened), fresh=tuple(fresh))


def _each_once(
    files: Files, segments: Sequence[Segment], fresh: Sequence[Row], problems: list[str]
) -> tuple[list[Segment], list[Row]]:
    try:
        return each_once(files, segments, fresh, problems)
    except SegmentGoneError:
        raise
    except StoreCorruptError:
        return each_once(files, whole_segments(files, segments, problems), fresh, problems)


def whole_segments(files: Files, segments: Sequence[Segment], problems: list[str]) -> list[Segment]:
    """The segments without a damaged page; the others are added to `problems`."""
    whole, damaged = split_damaged(files, segments)
    problems += map(str, damaged.values())
    return whole


def _published(files: Files, table: str, study: str, problems: list[str]) -> tuple[str, ...]:
    listed = list_published(files, table, study)
    if not listed.names and files.exists(old_folder(study)):
        raise SegmentGoneError(
            f"{files.describe(table_folder(table, study))!r} is missing, because a compaction was interrupted"
            " between two steps; run compact again"
        )
    problems += listed.problems(files)
    return listed.names


def _compacted(batches: Sequence[str]) -> list[str]:
    return [batch for batch in batches if batch.startswith(COMPACTED)]
