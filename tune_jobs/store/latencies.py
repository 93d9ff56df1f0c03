"""The table `latencies`: one file for each run, written whole, and read with the rest of the store.

No decision depends on these rows and no study owns them, so they need no journal and no lock. A file appears
whole or not at all, under a unique name, also while other processes write. A store without this table is read
as if the table had no rows. Called by the `latency` command (writing) and `reader`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pyarrow as pa

from tune_jobs.store.columns.convert import rows_to_arrow
from tune_jobs.store.columns.latency_rows import LatencyRow
from tune_jobs.store.files.protocol import Files, open_files
from tune_jobs.store.format.layout import LATENCIES, SCRATCH, SEGMENT_SUFFIX, latency_key
from tune_jobs.store.format.listing import list_devices, list_latencies
from tune_jobs.store.format.plain_readers import warn_if_new
from tune_jobs.store.format.publishing import parquet_bytes
from tune_jobs.store.format.segments import Segment
from tune_jobs.store.format.version_check import require_version
from tune_jobs.store.reading.snapshot import Segments, TableSnapshot

SCRATCH_FOLDER = f"{SCRATCH}/{LATENCIES}"


def prepare_table(store: str | os.PathLike[str] | Files) -> None:
    """Check that the table can be written, before minutes are spent on measuring.

    Raises:
        StoreVersionError: the store is of another version.
        StoreError: the store cannot be written.
    """
    files = open_files(store)
    require_version(files)
    files.make_folder(SCRATCH_FOLDER)


def append_latencies(store: str | os.PathLike[str] | Files, rows: Sequence[LatencyRow]) -> str | None:
    """Add the rows of one run on one device; when this returns, they are on disk and all readers see them.

    Returns:
        The file that holds them; None if there are no rows.

    Raises:
        InvalidValueError: a row does not fit its columns.
        StoreError: the store cannot be written; it holds no row of the run.
    """
    if not rows:
        return None
    files = open_files(store)
    data = parquet_bytes(LATENCIES, rows_to_arrow(LATENCIES, rows))
    key = latency_key(rows[0].device, rows[0].measured_at, rows[0].run)
    prepare_table(files)
    warn_if_new(files)
    files.make_folder(key.rpartition("/")[0])
    files.put(key, data, scratch=SCRATCH_FOLDER)
    return files.describe(key)


def latency_snapshot(segments: Segments, problems: list[str]) -> TableSnapshot:
    """The undamaged files of the table at this instant; omissions are added to `problems`."""
    files = segments.files
    devices = list_devices(files)
    problems += devices.problems(files)
    opened: dict[str, Segment] = {}
    for device in devices.names:
        listed = list_latencies(files, device)
        problems += listed.problems(files)
        for name in listed.names:  # a run is of one device, so its name in a second folder is a copy
            key = f"{listed.folder}/{name}{SEGMENT_SUFFIX}"
            if name in opened:
                first = files.describe(opened[name].key)
                problems.append(f"{files.describe(key)!r} is a copy of {first!r}: move it out of the store")
                continue
            for segment in segments.open_if_whole(key, LATENCIES, problems):
                opened[name] = segment
    return TableSnapshot(table=LATENCIES, segments=tuple(opened.values()), fresh=())


def read_latencies(segments: Segments, problems: list[str]) -> pa.Table:
    """All rows, oldest first."""
    snapshot = latency_snapshot(segments, problems)
    rows = snapshot.without_damaged(segments.files, problems).dataset().to_table()
    return rows.sort_by([("measured_at", "ascending"), ("network", "ascending")])
