"""Segments: the immutable Parquet files that hold published rows, opened and read.

Every published file is opened here, by one rule. A file that is damaged or foreign raises an error. Single
rows that are damaged, or of another study, are left out and named. `publishing` writes the files. Called by
every module that reads a table: `definitions`, `repeats`, `latencies`, `snapshot`, `examining`, `compact`,
`repair`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from eml_models.wording import first_line
from tune_jobs.errors import ForeignSegmentError, SegmentGoneError, StoreCorruptError, StoreVersionError
from tune_jobs.store.columns.convert import DamagedRow, parse_rows, rows_to_arrow
from tune_jobs.store.columns.schema import ROW_TYPES_OF_FILES, SCHEMA_VERSION, SCHEMAS
from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.layout import SEGMENT_SUFFIX
from tune_jobs.store.format.seal import is_sealed

VERSION_KEY, TABLE_KEY = "tune_jobs.schema_version", "tune_jobs.table"
MAX_SHOWN = 20
"""Characters of a file's version that a message shows."""
MAX_NAMED_ROWS = 5
"""The number of damaged rows of one file that a message names one by one."""

UNREADABLE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)
"""Errors of pyarrow for bytes that are not Parquet: also UnicodeDecodeError for the name of a column."""

FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """An opened file. Its footer has been read; its rows only if some are left out or it has no seal.

    Attributes:
        path: of the file, for messages.
        rows: the rows that count, if they have been read already; None if all rows of the file count.
        damaged: its damaged rows, which are left out.
        foreign: in words, rows of other studies that are left out.
    """

    key: str
    path: str
    table: str
    fragment: ds.ParquetFileFragment
    rows: pa.Table | None = None
    damaged: tuple[DamagedRow, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """All rows that are left out of it, in words."""
        return (*self.describe_damaged(), *self.foreign)

    def describe_damaged(self) -> list[str]:
        """Its damaged rows in words, the first of them one by one."""
        said = [row.describe(self.path) for row in self.damaged[:MAX_NAMED_ROWS]]
        more = len(self.damaged) - MAX_NAMED_ROWS
        return [*said, f"{more} more rows of {self.path!r} are damaged"] if more > 0 else said

    @property
    def num_rows(self) -> int:
        return int(self.fragment.metadata.num_rows if self.rows is None else self.rows.num_rows)

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.key.rpartition("/")[2].removesuffix(SEGMENT_SUFFIX)

    def seq_range(self) -> tuple[int, int] | None:
        """The least and the greatest `seq`; None without rows."""
        if not self.num_rows:
            return None
        if self.rows is not None:
            found = pc.min_max(self.rows.column("seq"))
            return found["min"].as_py(), found["max"].as_py()
        bounds = [bounds_of(self.fragment, self.table, group, "seq") for group in _groups(self.fragment)]
        return min(low for low, _ in bounds), max(high for _, high in bounds)

    def dataset(self) -> ds.Dataset:
        """Its rows, as a dataset that reads them on demand."""
        if self.rows is not None:
            return ds.InMemoryDataset(self.rows)
        return as_dataset(self.table, [self])


def open_segment(files: Files, key: str, table: str, *, study: str | None = None) -> Segment:
    """Open a file of `table`; if it has no seal, its rows are read and checked.

    Args:
        study: the study whose folder the file is in; rows of other studies are left out. None for any.

    Raises:
        ForeignSegmentError: all rows are of other studies.
        StoreVersionError: the file is of another version.
        StoreCorruptError: the file is truncated, not Parquet, or of another table.
        SegmentGoneError: the file does not exist, or not any more.
    """
    with _explained(files, key):
        file_system = files.arrow()
        with file_system.open_input_file(key) as file:
            size, whole = file.size(), is_sealed(file)
        fragment = FORMAT.make_fragment(key, file_system, file_size=size)
        fragment.ensure_complete_metadata()
        metadata = fragment.metadata.metadata or {}
        said = metadata.get(TABLE_KEY.encode(), b"").decode()
        version = metadata.get(VERSION_KEY.encode(), b"").decode()
        schema = fragment.physical_schema
    if said != table:
        kind = f"belongs to table {said!r}" if said else "was not written by this store"
        raise StoreCorruptError(f"{files.describe(key)!r} {kind}; move it out of {table}/")
    _check_columns(files.describe(key), SCHEMAS[table], schema, version)
    segment = Segment(key=key, path=files.describe(key), table=table, fragment=fragment)
    if whole and (study is None or _studies_of(fragment, table) <= {study}):
        return segment
    return _checked(files, segment, study)


def _check_columns(path: str, known: pa.Schema, found: pa.Schema, version: str) -> None:
    """Refuse a file of another version, and a file of this version with other columns."""
    if version.isdecimal() and version != str(SCHEMA_VERSION):
        raise StoreVersionError(path, found=version[:MAX_SHOWN], known=SCHEMA_VERSION)
    wrong = [
        f"{field.name} is {field.type}, not {known.field(field.name).type}"
        for field in found
        if field.name in known.names and not field.type.equals(known.field(field.name).type)
    ]
    if wrong:
        raise StoreCorruptError(f"{path!r} has columns of other types: {'; '.join(wrong)}")
    if version != str(SCHEMA_VERSION):
        raise StoreCorruptError(f"{path!r} must name the version of its columns, got {version[:MAX_SHOWN]!r}")
    if found.names != known.names:
        lacking = ", ".join(name for name in known.names if name not in found.names) or "none"
        raise StoreCorruptError(
            f"{path!r} does not have the columns of version {version} (missing: {lacking})"
        )


def _checked(files: Files, segment: Segment, study: str | None) -> Segment:
    """The segment with only the undamaged rows of this study."""
    path, table = segment.path, segment.table
    with _explained(files, segment.key):
        parsed = parse_rows(ROW_TYPES_OF_FILES[table], segment.fragment.to_table(schema=SCHEMAS[table]))
    kept, foreign = [], set()
    for row in parsed.rows:
        if study is None or getattr(row, "study", None) == study:
            kept.append(row)
        else:
            foreign.add(str(getattr(row, "study", None)))
    if foreign and not kept:
        raise ForeignSegmentError(
            f"{path!r} holds rows of study {', '.join(map(repr, sorted(foreign)))} in the folder of study"
            f" {study!r}: it is a copy; move it out of the store, since other programs count its rows"
        )
    others = (f"rows of study {', '.join(map(repr, sorted(foreign)))} in {path!r}",) if foreign else ()
    return replace(segment, rows=rows_to_arrow(table, kept), damaged=tuple(parsed.damaged), foreign=others)


def as_dataset(table: str, segments: Sequence[Segment]) -> ds.Dataset:
    """Segments of a table as one dataset, which reads files on demand."""
    lazy = [segment.fragment for segment in segments if segment.rows is None]
    read = [segment.rows for segment in segments if segment.rows is not None]
    parts: list[ds.Dataset] = []
    if lazy:
        parts.append(ds.FileSystemDataset(lazy, SCHEMAS[table], FORMAT, filesystem=lazy[0].filesystem))
    if read or not lazy:
        parts.append(ds.InMemoryDataset(pa.concat_tables([SCHEMAS[table].empty_table(), *read])))
    return parts[0] if len(parts) == 1 else ds.dataset(parts)


def read_segments(
    files: Files, table: str, segments: Iterable[Segment], *, columns: Sequence[str] | None = None
) -> pa.Table:
    """All rows of some segments, with all columns or the named ones.

    Raises:
        StoreCorruptError: a page is damaged; the message names the first such file.
    """
    segments = list(segments)
    try:
        return as_dataset(table, segments).to_table(columns=columns)
    except UNREADABLE:
        for segment in segments:
            check_pages(files, segment)
        raise


def check_pages(files: Files, segment: Segment) -> None:
    """Read a segment to its end.

    Raises:
        StoreCorruptError: a page is damaged.
        SegmentGoneError: the file does not exist any more.
    """
    if segment.rows is None:
        with _explained(files, segment.key):
            segment.fragment.to_table(schema=SCHEMAS[segment.table])


def split_damaged(
    files: Files, segments: Iterable[Segment]
) -> tuple[list[Segment], dict[str, StoreCorruptError]]:
    """The segments without a damaged page, and the errors of the others by key.

    Raises:
        SegmentGoneError: a file does not exist any more.
    """
    whole, damaged = [], {}
    for segment in segments:
        try:
            check_pages(files, segment)
            whole.append(segment)
        except SegmentGoneError:
            raise
        except StoreCorruptError as error:
            damaged[segment.key] = error
    return whole, damaged


def bounds_of(fragment: ds.ParquetFileFragment, table: str, group: int, name: str) -> tuple[Any, Any]:
    """The least and the greatest value of a column in a row group, from the footer or else from the rows.

    Args:
        name: a column before the first list; Parquet counts the elements of lists as further columns.
    """
    index = SCHEMAS[table].names.index(name)
    statistics = fragment.metadata.row_group(group).column(index).statistics
    if statistics is not None and statistics.has_min_max:
        return statistics.min, statistics.max
    found = pc.min_max(fragment.subset(row_group_ids=[group]).to_table(columns=[name]).column(name))
    return found["min"].as_py(), found["max"].as_py()


@contextmanager
def _explained(files: Files, key: str) -> Iterator[None]:
    """Turn pyarrow's errors of a damaged or missing file into the store's own."""
    try:
        yield
    except FileNotFoundError as error:
        raise SegmentGoneError(f"{files.describe(key)!r} is gone") from error
    except UNREADABLE as error:
        raise StoreCorruptError(f"{files.describe(key)!r} cannot be read: {first_line(error)}") from error


def _groups(fragment: ds.ParquetFileFragment) -> range:
    return range(fragment.metadata.num_row_groups)


def _studies_of(fragment: ds.ParquetFileFragment, table: str) -> set[str]:
    """The first and the last study by name of a file's rows; a single name if all rows are of one study."""
    groups = (group for group in _groups(fragment) if fragment.metadata.row_group(group).num_rows)
    return {study for group in groups for study in bounds_of(fragment, table, group, "study")}
