"""Deletes a study from a store: only one that nobody writes, and so that an interrupted deletion can be
repeated.

What else there is of the study (its weights) goes first, under its lock; then its rows, starts first; its
definition goes last, and only when nothing else is left. So the same call again goes on, whatever ended the
first one, and what is left in between is refused by the next writer (its trials never started) instead of
being taken for a smaller study. The empty segment of each table stays, since polars and DuckDB fail on an
empty folder. Foreign files stay too, and are named: only what has a name that the store gives is removed,
damaged or not, and nothing through a link.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from tune_jobs.errors import StoreError
from tune_jobs.store.files.holders import this_holder
from tune_jobs.store.files.protocol import Files, open_files
from tune_jobs.store.files.real_folders import Removal, not_ours
from tune_jobs.store.format.definitions import is_known
from tune_jobs.store.format.layout import (
    JOURNAL_SUFFIX,
    LOCK,
    NO_ROWS,
    SEGMENT_SUFFIX,
    WAL,
    is_aside,
    lock_key,
    old_folder,
    scratch_folder,
)
from tune_jobs.store.format.listing import Listed, list_definitions, list_journals, list_published
from tune_jobs.study.rows import EventRow, ReportRow, StartRow, TrialRow

TABLES = tuple(row.table for row in (StartRow, TrialRow, ReportRow, EventRow))
"""In the order in which they are emptied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a deletion removed, and what is foreign and stays; False where there was no such study.

    Attributes:
        failed: what is of the study and could not be removed, and why. While there is some, the study is
            still known, and the same call again goes on.
    """

    existed: bool
    num_files: int
    foreign: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def delete_study(
    store: str | os.PathLike[str] | Files, study: str, *, first: Callable[[], Removal] = Removal
) -> Deleted:
    """Remove every row and the definition of a study.

    Args:
        first: removes what else there is of it; called under the study's lock. Where some of that cannot be
            removed, no row is either.

    Raises:
        StoreLockedError: a living writer holds the study.
        StoreError: the study cannot be locked.
    """
    files = open_files(store)
    if not is_known(files, study):
        return Deleted(existed=False, num_files=0)
    lock = files.lock(lock_key(study), subject=f"study {study!r}", holder=this_holder())
    try:
        done = _called(first)
        if not done.failed:
            done += _remove_rows(files, study)
        if not done.failed:
            done += _remove_listed(files, list_definitions(files, study))
    finally:
        lock.release()
    return Deleted(existed=True, num_files=done.num_files, foreign=done.foreign, failed=done.failed)


def _called(remove: Callable[[], Removal]) -> Removal:
    try:
        return remove()
    except OSError as error:
        return Removal(failed=(str(error),))


def _remove_rows(files: Files, study: str) -> Removal:
    """Remove all of a study but its definition, as far as that is possible."""
    done = _remove_listed(files, list_journals(files, study))
    for table in TABLES:
        done += _remove_listed(files, list_published(files, table, study))
    for folder in (scratch_folder(study), old_folder(study)):
        try:
            done += Removal(foreign=tuple(files.remove_aside(folder, is_aside)))
        except StoreError as error:
            done += Removal(failed=(str(error),))
    return done


def _remove_listed(files: Files, listed: Listed) -> Removal:
    try:
        files.require_real(listed.folder)
    except StoreError as error:
        return Removal(failed=(str(error),))
    suffix = JOURNAL_SUFFIX if listed.folder.startswith(WAL) else SEGMENT_SUFFIX
    others = [name for name in files.list_names(listed.folder) if not name.endswith(suffix) and name != LOCK]
    foreign = [not_ours(files.describe(f"{listed.folder}/{name}")) for name in others]
    done = Removal(foreign=(*listed.problems(files), *foreign))
    for name in listed.names:
        if name == NO_ROWS:
            continue
        try:
            files.remove(f"{listed.folder}/{name}{suffix}")
            done += Removal(num_files=1)
        except StoreError as error:
            done += Removal(failed=(str(error),))
    return done
