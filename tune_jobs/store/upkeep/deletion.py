"""Deletes a study from a store, if it has no living writer; an interrupted deletion can be repeated.

The weights and logs of the study are removed first, under its lock; then its rows, starts first; its
definition last, and only if nothing else is left. So the same call continues after any interruption. A writer
that opens the study in between refuses it, because its trials have no starts, and does not take it for a
smaller study. The empty segment of each table stays, since polars and DuckDB fail on an empty folder. Only
files with names of the store's own are removed, damaged or not, and nothing through a link. Foreign files
stay and are named.
Called by the `delete` command.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from tune_jobs.errors import StoreError
from tune_jobs.store.files.holders import UPKEEP, this_holder
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
"""The tables in the order of their deletion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The outcome of a deletion.

    Attributes:
        existed: whether the store had such a study.
        num_files: the number of removed files.
        foreign: foreign files, which stay; in words.
        failed: files of the study that could not be removed, with the reasons. If there are any, the store
            still has the study, and the same call continues.
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
        first: removes the study's files outside the tables (its weights and logs); called under the study's
            lock. If it fails for a file, no row is removed.

    Raises:
        StoreLockedError: a living writer holds the study.
        StoreError: the study cannot be locked.
    """
    files = open_files(store)
    if not is_known(files, study):
        return Deleted(existed=False, num_files=0)
    lock = files.lock(lock_key(study), subject=f"study {study!r}", holder=this_holder(UPKEEP))
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
    """Remove all files of a study except its definition, as far as possible."""
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
