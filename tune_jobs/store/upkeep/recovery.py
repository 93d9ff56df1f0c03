"""Recovery after a dead writer: its journals become the files that it would have written.

Only the holder of a study's lock recovers, so every journal of the study is of a dead writer. A journal is
removed after its batch is published. If the process is killed in between, the next recovery repeats the same
steps, which then change nothing. A study with a damaged journal publishes nothing; `repair` is for that. A
foreign journal stays and is named. Called by `writer` and `compact`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from tune_jobs.errors import StoreCorruptError, StoreError
from tune_jobs.store.columns.schema import ROW_TYPE_OF
from tune_jobs.store.files.protocol import Files
from tune_jobs.store.format.journal import read_batch
from tune_jobs.store.format.layout import (
    SEGMENT_SUFFIX,
    is_aside,
    is_published,
    journal_key,
    old_folder,
    replaced_at,
    replaced_table,
    scratch_folder,
    table_folder,
)
from tune_jobs.store.format.listing import list_journals, own_names
from tune_jobs.store.format.publishing import publish
from tune_jobs.study.instants import utc_now

KEEP_OLD_S = 10.0
"""The least seconds for which files that a compaction replaced are kept. A reader that opened the folder
before the exchange needs them while it lists it: for milliseconds, or longer on a busy machine."""


def recover(files: Files, study: str) -> None:
    """Publish and remove the journals of a study whose lock the caller holds.

    Raises:
        StoreCorruptError: a journal is damaged; nothing has been published.
    """
    mend_folders(files, study)
    batches = list_journals(files, study).names
    found = {batch: read_batch(files, study, batch) for batch in batches}
    damaged = [content.describe_damage() for content in found.values() if content and content.damaged]
    if damaged:
        raise StoreCorruptError(describe_refusal(files, study, damaged))
    for batch, content in found.items():
        if content is None:  # in a bucket, the first part is removed first: its batch was published
            files.remove(journal_key(study, batch))
        elif not content.is_foreign(study):
            publish(files, study, batch, content.rows)
            files.remove(journal_key(study, batch))
    _remove_old(files, study)
    files.remove_aside(scratch_folder(study), is_aside)
    files.make_folder(scratch_folder(study))


def mend_folders(files: Files, study: str) -> None:
    """Put back a table's folder if a compaction was interrupted after it moved the folder away."""
    for table in ROW_TYPE_OF:
        if files.exists(table_folder(table, study)):
            continue
        moved = [name for name in files.list_names(old_folder(study)) if replaced_table(name) == table]
        for name in moved[-1:]:
            files.move(f"{old_folder(study)}/{name}", table_folder(table, study))


def return_foreign(files: Files, study: str, old: str) -> None:
    """Move foreign files from a folder that a compaction replaced back to the table's folder."""
    folder = f"{old_folder(study)}/{old}"
    for name in files.list_names(folder):
        if not own_names([name], SEGMENT_SUFFIX, is_published):
            files.move(f"{folder}/{name}", f"{table_folder(old.partition('-')[0], study)}/{name}")


def _remove_old(files: Files, study: str) -> None:
    """Remove files that compactions replaced, except recent ones, which a plain reader may be listing."""
    now, folder = utc_now(), old_folder(study)
    try:
        files.require_real(folder)
    except StoreError:  # a link: the files behind it are not the store's to remove
        return
    left = 0
    for name in files.list_names(folder):
        if replaced_table(name) is None:
            continue
        if 0 <= (now - replaced_at(name)).total_seconds() < KEEP_OLD_S:
            left += 1
        else:
            return_foreign(files, study, name)  # a killed compaction may not have done it
            files.remove_aside(f"{folder}/{name}", is_aside)
    if not left:
        files.remove_aside(folder, is_aside)


def describe_refusal(files: Files, study: str, damage: Sequence[str]) -> str:
    """The reason why a damaged study is refused, and the way out."""
    return (
        f"study {study!r} is damaged, and a search does not continue from half a history:\n  - "
        + "\n  - ".join(damage)
        + "\nNothing was changed. Restore the damaged files from a backup, or run `python -m tune_jobs repair"
        f" {study} --store {shlex.quote(files.describe('').rstrip('/'))}`: it shows what would be lost, and"
        " acts only with --yes"
    )
