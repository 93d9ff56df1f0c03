"""Deletes a study from a store: only one that nobody writes, and so that an interrupted deletion can be
repeated.

Starts go first and the definition last: what is left by a deletion that was cut short is refused by the next
writer (its trials never started) instead of being taken for a smaller study. The empty segment of each table
stays, since polars and DuckDB fail on an empty folder. Foreign files stay too, and are named: only what has a
name that the store gives is removed, damaged or not.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from tune_jobs.store.definitions import is_known
from tune_jobs.store.files import Files, open_files
from tune_jobs.store.layout import (
    JOURNAL_SUFFIX,
    NO_ROWS,
    SEGMENT_SUFFIX,
    WAL,
    lock_key,
    old_folder,
    scratch_folder,
)
from tune_jobs.store.listing import list_definitions, list_journals, list_published
from tune_jobs.trial import EventRow, ReportRow, StartRow, TrialRow

TABLES = tuple(row.table for row in (StartRow, TrialRow, ReportRow, EventRow))
"""In the order in which they are emptied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a deletion removed, and what is foreign and stays; False where there was no such study."""

    existed: bool
    num_files: int
    foreign: tuple[str, ...] = ()


def delete_study(store: str | os.PathLike[str] | Files, study: str) -> Deleted:
    """Remove every row and the definition of a study.

    Raises:
        StoreLockedError: a living writer holds the study.
        StoreError: a file could not be removed; the same call again goes on.
    """
    files = open_files(store)
    if not is_known(files, study):
        return Deleted(existed=False, num_files=0)
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "deletes": study}
    lock = files.lock(lock_key(study), subject=f"study {study!r}", holder=holder)
    try:
        listed = [list_journals(files, study)]
        listed += [list_published(files, table, study) for table in TABLES]
        listed.append(list_definitions(files, study))
        keys = [f"{one.folder}/{name}" for one in listed for name in one.names if name != NO_ROWS]
        for key in keys:
            files.remove(f"{key}{JOURNAL_SUFFIX if key.startswith(WAL) else SEGMENT_SUFFIX}")
        files.remove_folder(scratch_folder(study))
        files.remove_folder(old_folder(study))
    finally:
        lock.release()
    foreign = tuple(problem for one in listed for problem in one.problems(files))
    return Deleted(existed=True, num_files=len(keys), foreign=foreign)
