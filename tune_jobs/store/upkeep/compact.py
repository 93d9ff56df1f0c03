"""Compaction: the many small files of a study become a few large ones, under readers and beside writers.

For each table a new folder is prepared aside and read back. Then each is exchanged with the old folder in a
single step of the file system. So a plain reader that lists a folder sees all rows of the study, each once,
at every instant. A reader that listed before the step and opens a file after it misses the file, and its next
try succeeds. Writing beside the old files, or deleting these first, would show duplicates or gaps (measured).
The four tables are exchanged one after the other. No reader notices that, since each table holds the same
rows before and after.

Only a study without a living writer is compacted; its lock is held meanwhile. Journals of a dead writer are
published first. The store is correct if the process is killed at any point: a folder is the old one or the
new one, and the next writer or compaction of the study removes the folders aside. Until then the replaced
files are kept under ``_old``.

Rows are sorted so that a query reads little: reports by trial and epoch, other tables by trial. No row is
dropped, merged or changed. A bucket has no step that exchanges folders. For buckets, and for a copy to give
away, `compact_into` writes the compacted rows to another store.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from eml_models.errors import UnknownNameError
from tune_jobs.errors import ForeignSegmentError, StoreCorruptError, StoreError
from tune_jobs.store.columns.schema import SCHEMAS
from tune_jobs.store.files.holders import UPKEEP, this_holder
from tune_jobs.store.files.protocol import Files, open_files
from tune_jobs.store.format.definitions import read_definition, study_names
from tune_jobs.store.format.layout import (
    NO_ROWS,
    SEGMENT_SUFFIX,
    STUDIES,
    compacted_name,
    definition_key,
    journal_folder,
    lock_key,
    old_folder,
    old_key,
    scratch_folder,
    segment_key,
    table_folder,
)
from tune_jobs.store.format.listing import list_journals, list_published
from tune_jobs.store.format.plain_readers import warn_if_new
from tune_jobs.store.format.publishing import parquet_bytes
from tune_jobs.store.format.repeats import each_once
from tune_jobs.store.format.segments import Segment, open_segment, read_segments
from tune_jobs.store.format.version_check import require_version
from tune_jobs.store.upkeep.recovery import describe_refusal, recover, return_foreign
from tune_jobs.study.instants import utc_now
from tune_jobs.study.rows import ROW_TYPES, EventRow, ReportRow, StartRow, TrialRow

ROWS_PER_FILE = 1_000_000
ROWS_PER_GROUP = 32_768
"""Rows of a row group, which a reader may skip by its minima and maxima: about 1,600 trials of 20 reports."""

SORTED_BY = {
    StartRow.table: ("number", "attempt"),
    ReportRow.table: ("number", "epoch", "seq"),
    TrialRow.table: ("number", "seq"),
    EventRow.table: ("seq",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """The outcome of compacting one study.

    Attributes:
        num_rows: rows of the study, over its four tables.
        files_before: the number of published files of its four tables; `files_after` likewise.
        problems: foreign files and repeated rows that were left out, in words.
    """

    study: str
    num_rows: int
    files_before: int
    files_after: int
    problems: tuple[str, ...] = ()


def compact_study(store: str | os.PathLike[str] | Files, study: str) -> Compacted:
    """Compact one study in place.

    Raises:
        StoreLockedError: a living writer holds the study.
        StoreCorruptError: a file is damaged; the study stays unchanged.
        StoreError: the disk refused, a link is in the place of one of the study's folders, or the store is in
            a bucket.
    """
    files = open_files(store)
    _require_study(files, study)
    if not files.has_folders:
        raise StoreError(
            f"{files.describe('')!r} is a bucket, where no single step replaces many files, so readers would"
            " see rows twice or not at all. Write a compacted copy with --output STORE"
        )
    for row_type in ROW_TYPES:
        files.require_real(table_folder(row_type.table, study))
    for folder in (scratch_folder(study), old_folder(study)):
        files.require_real(folder)
    files.make_folder(journal_folder(study))
    files.make_folder(scratch_folder(study))
    lock = files.lock(lock_key(study), subject=f"study {study!r}", holder=this_holder(UPKEEP))
    try:
        problems = list(list_journals(files, study).problems(files))
        recover(files, study)
        files.sync_folder(journal_folder(study))  # else a crash may bring a removed journal back
        before = _num_files(files, study)
        prepared = [_prepare_table(files, study, row_type.table, problems) for row_type in ROW_TYPES]
        files.make_folder(old_folder(study))
        for part in prepared:
            part.exchange(files, study)
        return Compacted(
            study=study,
            num_rows=sum(part.num_rows for part in prepared),
            files_before=before,
            files_after=_num_files(files, study),
            problems=tuple(problems),
        )
    finally:
        lock.release()


def compact_into(
    store: str | os.PathLike[str] | Files, study: str, target: str | os.PathLike[str] | Files
) -> Compacted:
    """Write a compacted copy of a study to another store, where it can be read and continued.

    The study itself stays unchanged. The definition of the copy is written last, so an interrupted copy does
    not count as a study.

    Raises:
        StoreLockedError: a living writer holds the study.
        StoreCorruptError: a file is damaged.
        StoreVersionError: the target is of another version.
        StoreError: the target holds the study already, or cannot be written.
    """
    files, copy = open_files(store), open_files(target)
    _require_study(files, study)
    require_version(copy)
    if read_definition(copy, study) is not None:
        raise StoreError(
            f"{copy.describe('')!r} holds study {study!r} already; name another store with --output"
        )
    lock = files.lock(lock_key(study), subject=f"study {study!r}", holder=this_holder(UPKEEP))
    try:
        problems = list(list_journals(files, study).problems(files))
        recover(files, study)
        warn_if_new(copy)
        copy.make_folder(scratch_folder(study))
        num_rows = 0
        for row_type in ROW_TYPES:
            rows, _ = _read_sorted(files, study, row_type.table, problems)
            folder = table_folder(row_type.table, study)
            copy.make_folder(folder)
            _put_table(copy, folder, row_type.table, rows, scratch=scratch_folder(study))
            num_rows += rows.num_rows
        definition = files.read(definition_key(study))
        assert definition is not None
        copy.make_folder(table_folder(STUDIES, study))
        copy.put(definition_key(study), definition, scratch=scratch_folder(study))
        return Compacted(
            study=study,
            num_rows=num_rows,
            files_before=_num_files(files, study),
            files_after=_num_files(copy, study),
            problems=tuple(problems),
        )
    finally:
        lock.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTable:
    """A table's compacted folder, written aside and read back.

    Attributes:
        foreign: files of another study in the table's folder, under names that the store gives.
    """

    table: str
    folder: str
    num_rows: int
    foreign: tuple[str, ...]

    def exchange(self, files: Files, study: str) -> None:
        """Put it in the place of the table's folder; foreign files there stay."""
        old = old_key(self.table, study, utc_now())
        files.exchange_folders(table_folder(self.table, study), self.folder, old=old)
        return_foreign(files, study, old.rpartition("/")[2])
        for name in self.foreign:
            files.move(f"{old}/{name}", f"{table_folder(self.table, study)}/{name}")


def _prepare_table(files: Files, study: str, table: str, problems: list[str]) -> PreparedTable:
    rows, foreign = _read_sorted(files, study, table, problems)
    folder = f"{scratch_folder(study)}/{table}-{secrets.token_hex(4)}"
    files.make_folder(folder)
    keys = _put_table(files, folder, table, rows, scratch=folder)
    _check_copy(files, folder, table, keys, rows)
    return PreparedTable(table=table, folder=folder, num_rows=int(rows.num_rows), foreign=tuple(foreign))


def _read_sorted(files: Files, study: str, table: str, problems: list[str]) -> tuple[pa.Table, list[str]]:
    """The rows of a table, each once, and the files of other studies in its folder.

    Files and rows that are left out are added to `problems`.

    Raises:
        StoreCorruptError: a file or a row is damaged.
    """
    listed = list_published(files, table, study)
    problems += listed.problems(files)
    opened: list[Segment] = []
    foreign = []
    for name in listed.names:
        try:
            opened.append(open_segment(files, segment_key(table, study, name), table, study=study))
        except ForeignSegmentError as error:
            problems.append(str(error))
            foreign.append(f"{name}{SEGMENT_SUFFIX}")
    damaged = [reason for segment in opened for reason in segment.describe_damaged()]
    if damaged:
        raise StoreCorruptError(describe_refusal(files, study, damaged))
    problems += [problem for segment in opened for problem in segment.foreign]
    segments, _ = each_once(files, opened, (), problems)
    rows = read_segments(files, table, segments)
    return rows.sort_by([(name, "ascending") for name in SORTED_BY[table]]), foreign


def _put_table(files: Files, folder: str, table: str, rows: pa.Table, *, scratch: str) -> list[str]:
    """Write a table's rows, and the file without rows of every table; returns the files' keys."""
    keys = []
    parts = [(f"{NO_ROWS}{SEGMENT_SUFFIX}", SCHEMAS[table].empty_table()), *_iter_parts(rows)]
    for name, part in parts:
        keys.append(f"{folder}/{name}")
        files.put(keys[-1], parquet_bytes(table, part, rows_per_group=ROWS_PER_GROUP), scratch=scratch)
    return keys


def _iter_parts(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    ticket = secrets.token_hex(4)
    for index, start in enumerate(range(0, rows.num_rows, ROWS_PER_FILE)):
        yield f"{compacted_name(ticket, index)}{SEGMENT_SUFFIX}", rows.slice(start, ROWS_PER_FILE)


def _check_copy(files: Files, folder: str, table: str, keys: Sequence[str], rows: pa.Table) -> None:
    """Read the new files back before they replace the old ones.

    Raises:
        StoreCorruptError: they differ from the rows.
    """
    copy = read_segments(files, table, [open_segment(files, key, table) for key in keys])
    if not copy.column("seq").equals(rows.column("seq")):
        raise StoreCorruptError(
            f"the compacted files in {files.describe(folder)!r} differ from the rows that were written; the"
            " study is unchanged. Check the disk, then compact again"
        )


def _num_files(files: Files, study: str) -> int:
    return sum(len(list_published(files, row_type.table, study).names) for row_type in ROW_TYPES)


def _require_study(files: Files, study: str) -> None:
    if read_definition(files, study) is None:
        raise UnknownNameError("study", study, study_names(files))
