"""Brings a store of an older version up to date before a newer writer adds to it.

The same columns in every file is what lets any reader open the store without flags, so a writer of a newer
version first rewrites what older ones published, study by study, as `compact` does: under plain readers, and
killed anywhere it is gone on with. A mark in the store says when all of it is done. Called by `writer`.
"""

from __future__ import annotations

from collections.abc import Mapping

from tune_jobs.errors import StoreError
from tune_jobs.store.compact import compact_study, list_studies, read_version
from tune_jobs.store.definitions import CREATION_WAIT_S
from tune_jobs.store.files import Files
from tune_jobs.store.layout import CREATION_LOCK, VERSION_MARK
from tune_jobs.store.schema import SCHEMA_VERSION


def bring_up_to_date(files: Files, *, scratch: str, holder: Mapping[str, object]) -> None:
    """Make every published file have this version's columns; does nothing where they have.

    Raises:
        StoreLockedError: a study is being written by an older version.
        StoreError: the store is of a newer version, or in a bucket, which cannot be rewritten in place.
    """
    if _is_up_to_date(files):
        return
    lock = files.lock(CREATION_LOCK, subject="the list of studies", holder=holder, wait_s=CREATION_WAIT_S)
    try:
        if _is_up_to_date(files):
            return  # another writer did it meanwhile
        for study in list_studies(files):
            compact_study(files, study)
        files.put(VERSION_MARK, str(SCHEMA_VERSION).encode(), scratch=scratch)
    finally:
        lock.release()


def _is_up_to_date(files: Files) -> bool:
    version = read_version(files)
    if version is not None and version > SCHEMA_VERSION:
        raise StoreError(
            f"{files.describe('')!r} was written by a newer version (its columns are of version {version},"
            f" this program knows {SCHEMA_VERSION}); update tune-jobs"
        )
    return version == SCHEMA_VERSION
