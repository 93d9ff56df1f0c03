"""Deletes a study from a store: only one that nobody writes, and so that an interrupted deletion can be
repeated.

Starts go first and the definition last: what is left by a deletion that was cut short is refused by the next
writer (its trials never started) instead of being taken for a smaller study. The empty segment of each table
stays, since polars and DuckDB fail on an empty folder.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from tune_jobs.store.definitions import read_definition
from tune_jobs.store.files import Files, open_files
from tune_jobs.store.layout import (
    NO_ROWS,
    SEGMENT_SUFFIX,
    STUDIES,
    journal_folder,
    lock_key,
    old_folder,
    scratch_folder,
    table_folder,
)
from tune_jobs.trial import EventRow, ReportRow, StartRow, TrialRow

TABLES = tuple(row.table for row in (StartRow, TrialRow, ReportRow, EventRow))
"""In the order in which they are emptied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a deletion removed; False where there was no such study."""

    existed: bool
    num_files: int


def delete_study(store: str | os.PathLike[str] | Files, study: str) -> Deleted:
    """Remove every row and the definition of a study.

    Raises:
        StoreLockedError: a living writer holds the study.
        StoreError: a file could not be removed; the same call again goes on.
    """
    files = open_files(store)
    if read_definition(files, study) is None:
        return Deleted(existed=False, num_files=0)
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "deletes": study}
    lock = files.lock(lock_key(study), subject=f"study {study!r}", holder=holder)
    try:
        keys = _list_keys(files, study)
        for key in keys:
            files.remove(key)
        files.remove_folder(old_folder(study))
    finally:
        lock.release()
    return Deleted(existed=True, num_files=len(keys))


def _list_keys(files: Files, study: str) -> list[str]:
    folders = [journal_folder(study), scratch_folder(study)]
    folders += [table_folder(table, study) for table in (*TABLES, STUDIES)]
    return [
        f"{folder}/{name}"
        for folder in folders
        for name in files.list_names(folder)
        if not name.startswith("lock") and name != f"{NO_ROWS}{SEGMENT_SUFFIX}"
    ]
