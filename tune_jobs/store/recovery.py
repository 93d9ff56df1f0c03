"""What a dead writer left: its journals become the very files that it would have written.

Only the holder of a study's lock recovers, so every journal of the study is a dead one. A journal is removed
after its batch is published; killed in between, the same steps are done again and change nothing. A damaged
journal is kept in ``_wal/damaged`` and named; its readable rows are published.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tune_jobs.store.files import Files
from tune_jobs.store.journal import JournalContent, read_journal
from tune_jobs.store.layout import (
    JOURNAL_SUFFIX,
    damaged_key,
    journal_folder,
    journal_key,
    old_folder,
    replaced_at,
    scratch_folder,
    table_folder,
)
from tune_jobs.store.schema import ROW_TYPE_OF
from tune_jobs.store.segments import publish

KEEP_OLD_S = 10.0
"""How long at least what a compaction replaced stays. A reader that opened the folder before finds its files
until it has listed it, which takes milliseconds, or longer on a busy machine."""


def recover(files: Files, study: str) -> list[str]:
    """Publish and remove the journals of a study whose lock the caller holds; returns what went wrong, in
    words."""
    problems = []
    mend_folders(files, study)
    for batch in list_batches(files, study):
        key = journal_key(study, batch)
        content = read_journal(files.read(key) or b"", files.describe(key))
        publish(files, study, batch, content.rows)
        if content.damaged_lines:
            aside = damaged_key(key)
            files.make_folder(aside.rpartition("/")[0])
            files.move(key, aside)
            problems.append(
                f"{describe_damage(content, files.describe(key))}; it now lies at {files.describe(aside)!r}"
            )
        else:
            files.remove(key)
    _remove_old(files, study)
    files.remove_folder(scratch_folder(study))
    files.make_folder(scratch_folder(study))
    return problems


def mend_folders(files: Files, study: str) -> None:
    """Put back a table's folder that a compaction moved away and then could not replace."""
    for table in ROW_TYPE_OF:
        if files.exists(table_folder(table, study)):
            continue
        moved = [name for name in files.list_names(old_folder(study)) if name.startswith(f"{table}-")]
        for name in moved[-1:]:
            files.move(f"{old_folder(study)}/{name}", table_folder(table, study))


def _remove_old(files: Files, study: str) -> None:
    """Remove what compactions replaced, but for the newest: a plain reader may be listing that folder."""
    now, folder = datetime.now(UTC), old_folder(study)
    left = 0
    for name in files.list_names(folder):
        at = replaced_at(name)
        if at is not None and 0 <= (now - at).total_seconds() < KEEP_OLD_S:
            left += 1
        else:
            files.remove_folder(f"{folder}/{name}")
    if not left:
        files.remove_folder(folder)


def list_batches(files: Files, study: str) -> list[str]:
    """The batches of a study that have a journal, in order."""
    names = files.list_names(journal_folder(study))
    return [name.removesuffix(JOURNAL_SUFFIX) for name in names if name.endswith(JOURNAL_SUFFIX)]


def describe_damage(content: JournalContent, path: str) -> str:
    """Which lines of a journal are lost."""
    lines = ", ".join(map(str, content.damaged_lines))
    return f"journal {path!r} is damaged in line {lines}; its other {len(content.rows)} rows are kept"
