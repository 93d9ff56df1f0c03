"""Segments: the immutable Parquet files in which rows are published.

A segment is written once, under a name that follows from its batch, so publishing the same batch again
changes nothing. Doubles are split by bytes and all is compressed with zstd: 19 % smaller than dictionaries
(STORE.md). Pages carry checksums. Arrow's and pandas' own metadata are left out: they cost more than the rows
of a small file. Called by `writer` and `recovery` (publish), `definitions`, and `snapshot` (open).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tune_jobs.errors import SegmentGoneError, StoreCorruptError
from tune_jobs.store.convert import rows_to_arrow
from tune_jobs.store.files import Files
from tune_jobs.store.layout import NO_ROWS, scratch_folder, segment_key, table_folder
from tune_jobs.store.schema import SCHEMA_VERSION, SCHEMAS, StoredRow
from tune_jobs.trial import ROW_TYPES, Row

VERSION_KEY, TABLE_KEY = "tune_jobs.schema_version", "tune_jobs.table"
STATISTICS = ("study", "trial_id", "number", "seq", "epoch", "state", "objective", "macs")
"""Columns with minima and maxima, by which a reader may skip a file; statistics of every column double its
footer."""

FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


def publish(files: Files, study: str, batch: str, rows: Sequence[Row]) -> None:
    """Publish a batch, one file for each table that it has rows of; what is published already stays as it is.

    Tables follow each other in publishing order, so that a trial never appears before its reports.
    """
    for row_type in ROW_TYPES:
        own = [row for row in rows if isinstance(row, row_type)]
        key = segment_key(row_type.table, study, batch)
        if own and not (files.exists(key) and _holds(files, key, row_type.table, len(own))):
            put_rows(files, key, row_type.table, own, study=study)


def make_tables(files: Files, study: str) -> None:
    """Give each table a folder for the study with a file without rows in it."""
    for row_type in ROW_TYPES:
        files.make_folder(table_folder(row_type.table, study))
        key = segment_key(row_type.table, study, NO_ROWS)
        if not files.exists(key):
            put_rows(files, key, row_type.table, (), study=study)


def put_rows(files: Files, key: str, table: str, rows: Sequence[StoredRow], *, study: str) -> None:
    """Write rows of one table as one file."""
    files.put(key, parquet_bytes(table, rows_to_arrow(table, rows)), scratch=scratch_folder(study))


def parquet_bytes(table: str, data: pa.Table, *, rows_per_group: int | None = None) -> bytes:
    """A Parquet file of rows of a table, in row groups of at most so many rows."""
    doubles = [field.name for field in data.schema if pa.types.is_float64(field.type)]
    others = [field.name for field in data.schema if field.name not in doubles]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        data.schema,
        compression="zstd",
        use_dictionary=others,
        use_byte_stream_split=doubles,
        write_statistics=[name for name in STATISTICS if name in data.schema.names],
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        writer.write_table(data, row_group_size=rows_per_group)
        writer.add_key_value_metadata({VERSION_KEY: str(SCHEMA_VERSION), TABLE_KEY: table})
    return bytes(sink.getvalue())


def open_segment(files: Files, key: str, table: str) -> ds.ParquetFileFragment:
    """A segment whose footer has been read and belongs to `table`; its rows have not been read.

    Raises:
        StoreCorruptError: it is truncated, no Parquet file, or a file of another kind.
        SegmentGoneError: it is not there (any more).
    """
    fragment = FORMAT.make_fragment(key, files.arrow())
    try:
        fragment.ensure_complete_metadata()
    except FileNotFoundError as error:
        raise SegmentGoneError(f"{files.describe(key)!r} is gone") from error
    except (pa.ArrowException, OSError) as error:
        raise StoreCorruptError(f"{files.describe(key)!r} cannot be read: {first_line(error)}") from error
    said = (fragment.metadata.metadata or {}).get(TABLE_KEY.encode(), b"").decode()
    if said != table:
        kind = f"belongs to table {said!r}" if said else "was not written by this store"
        raise StoreCorruptError(f"{files.describe(key)!r} {kind}; move it out of {table}/")
    wrong = [
        f"{field.name} is {field.type}, not {SCHEMAS[table].field(field.name).type}"
        for field in fragment.physical_schema
        if field.name in SCHEMAS[table].names and not field.type.equals(SCHEMAS[table].field(field.name).type)
    ]
    if wrong:
        raise StoreCorruptError(f"{files.describe(key)!r} has columns of other types: {'; '.join(wrong)}")
    return fragment


def as_dataset(table: str, fragments: Sequence[Any]) -> ds.Dataset:
    """Segments of a table as one dataset; columns that a file lacks read as null."""
    if not fragments:
        return ds.InMemoryDataset(SCHEMAS[table].empty_table())
    return ds.FileSystemDataset(fragments, SCHEMAS[table], FORMAT, filesystem=fragments[0].filesystem)


def read_segments(files: Files, table: str, fragments: Iterable[ds.ParquetFileFragment]) -> pa.Table:
    """All rows of segments.

    Raises:
        StoreCorruptError: a page is damaged; the message names the first such file.
    """
    fragments = list(fragments)
    try:
        return as_dataset(table, fragments).to_table()
    except (pa.ArrowException, OSError):
        for fragment in fragments:
            check_pages(files, table, fragment)
        raise


def check_pages(files: Files, table: str, fragment: ds.ParquetFileFragment) -> None:
    """Read a segment to its end.

    Raises:
        StoreCorruptError: a page is damaged.
        SegmentGoneError: it is not there any more.
    """
    try:
        fragment.to_table(schema=SCHEMAS[table])
    except FileNotFoundError as error:
        raise SegmentGoneError(f"{files.describe(fragment.path)!r} is gone") from error
    except (pa.ArrowException, OSError) as error:
        raise StoreCorruptError(
            f"{files.describe(fragment.path)!r} cannot be read: {first_line(error)}"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _holds(files: Files, key: str, table: str, num_rows: int) -> bool:
    """Whether an existing file is whole and has all rows of its batch; a damaged one is written anew."""
    try:
        fragment = open_segment(files, key, table)
        check_pages(files, table, fragment)
    except StoreCorruptError:
        return False
    return int(fragment.metadata.num_rows) >= num_rows
