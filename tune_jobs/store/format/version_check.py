"""Refuses a store of another version before anything is added to it, so that no store holds two versions.

Every file says its version, and readers refuse a file of another version (`segments`, `journal`). A writer of
a new study or new latencies checks the files of the store here: the definition of each study, and one file of
latencies for each device. Called by `definitions`, `latencies` and `compact`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from tune_jobs.errors import StoreCorruptError
from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.layout import LATENCIES, SEGMENT_SUFFIX, STUDIES
from tune_jobs.store.format.listing import (
    Listed,
    list_definitions,
    list_devices,
    list_latencies,
    list_studies,
)
from tune_jobs.store.format.segments import open_segment


def require_version(files: Files) -> None:
    """Check that a store is new or of this version.

    Raises:
        StoreVersionError: it is of another version; the message names a file and both versions.
    """
    for table, listed in _iter_folders(files):
        for name in listed.names[-1:]:
            with suppress(StoreCorruptError):  # a reader of the file will name it
                open_segment(files, f"{listed.folder}/{name}{SEGMENT_SUFFIX}", table)


def _iter_folders(files: Files) -> Iterator[tuple[str, Listed]]:
    """The folders to check, each with its table."""
    for study in list_studies(files, STUDIES).names:
        yield STUDIES, list_definitions(files, study)
    for device in list_devices(files).names:
        yield LATENCIES, list_latencies(files, device)
