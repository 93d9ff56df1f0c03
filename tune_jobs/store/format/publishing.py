"""Publishing: rows become immutable Parquet files, each whole when it appears.

A file is written once, under a name that follows from its batch, so publishing the same batch again changes
nothing. Doubles are split by bytes, and all columns are compressed with zstd: the files are 19 % smaller than
with dictionaries (measured). Pages carry checksums, and each file a seal (`seal`). Arrow's and pandas' own
metadata are left out, because they cost more than the rows of a small file.

Called by `writer`, `recovery` and `repair` (batches), and by `definitions`, `latencies` and `compact` (single
files).
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from tune_jobs.errors import StoreCorruptError
from tune_jobs.store.columns.convert import rows_to_arrow
from tune_jobs.store.columns.schema import SCHEMA_VERSION, StoredRow
from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.layout import NO_ROWS, scratch_folder, segment_key, table_folder
from tune_jobs.store.format.seal import sealed
from tune_jobs.store.format.segments import TABLE_KEY, VERSION_KEY, check_pages, open_segment
from tune_jobs.study.rows import ROW_TYPES, Row

STATISTICS = ("study", "trial_id", "number", "seq", "epoch", "state", "objective", "macs")
"""Columns with minima and maxima, by which a reader may skip a file; statistics of every column double its
footer."""


def publish(files: Files, study: str, batch: str, rows: Sequence[Row]) -> None:
    """Publish a batch: one file for each table of which it has rows. Files published earlier stay.

    The order of tables is starts, reports, trials, events, so that a trial never appears before its reports.
    """
    for row_type in ROW_TYPES:
        own = [row for row in rows if isinstance(row, row_type)]
        key = segment_key(row_type.table, study, batch)
        if own and not (files.exists(key) and _holds(files, key, row_type.table, study, len(own))):
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
    """The bytes of a Parquet file, with at most `rows_per_group` rows in each row group (None: pyarrow's)."""
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
    return sealed(bytes(sink.getvalue()))


def _holds(files: Files, key: str, table: str, study: str, num_rows: int) -> bool:
    """Whether an existing file is undamaged and has all rows of its batch; else it is written anew."""
    try:
        segment = open_segment(files, key, table, study=study)
        check_pages(files, segment)
    except StoreCorruptError:
        return False
    return segment.num_rows >= num_rows and not segment.problems
