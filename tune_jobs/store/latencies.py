"""The table `latencies`: written whole, one file a run, and read with the rest of the store.

Nothing is decided on these rows and no study owns them, so they need no journal and no lock: a file appears
whole or not at all, under a name of its own, whoever else writes. A store without the table (an older one)
reads as one without rows; it needs no upgrade, since no file that it has changes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pyarrow as pa

from tune_jobs.store.convert import rows_to_arrow
from tune_jobs.store.files import Files, open_files
from tune_jobs.store.latency_rows import LatencyRow
from tune_jobs.store.layout import DEVICE_SLUG, LATENCIES, SCRATCH, SEGMENT_SUFFIX, latency_key
from tune_jobs.store.segments import parquet_bytes
from tune_jobs.store.snapshot import Segments, TableSnapshot

SCRATCH_FOLDER = f"{SCRATCH}/{LATENCIES}"


def prepare_table(store: str | os.PathLike[str] | Files) -> None:
    """See that the table can be written, before minutes are spent on measuring.

    Raises:
        StoreError: it cannot.
    """
    open_files(store).make_folder(SCRATCH_FOLDER)


def append_latencies(store: str | os.PathLike[str] | Files, rows: Sequence[LatencyRow]) -> str | None:
    """Add the rows of one run on one device; they are on disk and seen by all readers when this returns.

    Returns:
        The file that holds them; None if there are no rows.

    Raises:
        InvalidValueError: a row does not fit its columns.
        StoreError: the store cannot be written; nothing of the run is in it.
    """
    if not rows:
        return None
    files = open_files(store)
    data = parquet_bytes(LATENCIES, rows_to_arrow(LATENCIES, rows))
    key = latency_key(rows[0].device, rows[0].measured_at, rows[0].run)
    prepare_table(files)
    files.make_folder(key.rpartition("/")[0])
    files.put(key, data, scratch=SCRATCH_FOLDER)
    return files.describe(key)


def latency_snapshot(segments: Segments, problems: list[str]) -> TableSnapshot:
    """The whole files of the table at this instant; damaged ones are added to `problems`."""
    files = segments.files
    opened = []
    for folder in files.list_names(LATENCIES):
        if folder.startswith(DEVICE_SLUG):
            names = files.list_names(f"{LATENCIES}/{folder}")
            keys = [f"{LATENCIES}/{folder}/{name}" for name in names if name.endswith(SEGMENT_SUFFIX)]
            for key in keys:
                opened += segments.open_if_whole(key, LATENCIES, problems)
    return TableSnapshot(table=LATENCIES, segments=tuple(opened), fresh=())


def read_latencies(segments: Segments, problems: list[str]) -> pa.Table:
    """All rows, oldest first."""
    snapshot = latency_snapshot(segments, problems)
    rows = snapshot.without_damaged(segments.files, problems).dataset().to_table()
    return rows.sort_by([("measured_at", "ascending"), ("network", "ascending")])
