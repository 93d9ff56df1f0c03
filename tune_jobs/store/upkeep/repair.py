"""Repair of a damaged study: gives up rows that cannot be read, so that the search can continue.

`plan_repair` names the losses and changes nothing. `repair_study` copies each damaged file unchanged to
``_wal/damaged/s-NAME/``, where no reader looks, and leaves its readable rows in its place. Rows of a trial
whose start is lost are removed too, since the proposal of that trial is unknown. A file is replaced in one
step under its own name; a plain reader that has it open at that instant may have to read again. If the
process is killed at any point, the same call continues. Called by the `repair` command.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from eml_models.errors import UnknownNameError
from tune_jobs.store.columns.convert import parse_rows, rows_to_arrow
from tune_jobs.store.columns.schema import ROW_TYPE_OF
from tune_jobs.store.files.holders import UPKEEP, this_holder
from tune_jobs.store.files.protocol import Files, open_files
from tune_jobs.store.format.definitions import is_known, study_names
from tune_jobs.store.format.journal import read_batch
from tune_jobs.store.format.layout import (
    damaged_key,
    journal_folder,
    journal_key,
    lock_key,
    scratch_folder,
    segment_key,
)
from tune_jobs.store.format.listing import list_journals, list_published
from tune_jobs.store.format.publishing import make_tables, parquet_bytes, put_rows
from tune_jobs.store.format.segments import open_segment, read_segments
from tune_jobs.store.upkeep.examining import Examined, examine, published_of
from tune_jobs.store.upkeep.recovery import mend_folders
from tune_jobs.study.rows import ROW_TYPES, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The losses of a repair.

    Attributes:
        damage: one line for each damaged file, with the damaged lines or rows; empty for an undamaged study.
        lost_rows: the number of lost rows by table, as far as the damaged bytes show it.
        num_missing: the number of gaps in `seq`, which has none in an undamaged study; losses of earlier
            repairs count too. The last rows of the study leave no gap.
        lost_trials: numbers of the trials that lose all rows, because their start is lost.
        hurt_trials: numbers of the trials that lose some rows.
        num_kept: the number of rows that stay.
        left_out: foreign files, which stay; in words.
        aside: the copies of the damaged files; empty for a plan.
    """

    study: str
    damage: tuple[str, ...]
    lost_rows: Mapping[str, int]
    num_missing: int
    lost_trials: tuple[int, ...]
    hurt_trials: tuple[int, ...]
    num_kept: int
    left_out: tuple[str, ...]
    aside: tuple[str, ...] = ()


def plan_repair(store: str | os.PathLike[str] | Files, study: str) -> Repair:
    """The losses of `repair_study`; changes nothing.

    Raises:
        UnknownNameError: the store holds no such study.
    """
    files = open_files(store)
    _require_study(files, study)
    return _plan(examine(files, study), ())


def repair_study(store: str | os.PathLike[str] | Files, study: str) -> Repair:
    """Copy damaged files aside, and leave the rows that can be read.

    Raises:
        UnknownNameError: the store holds no such study.
        StoreLockedError: a living writer holds the study.
        StoreError: the disk refused; the same call continues later.
    """
    files = open_files(store)
    _require_study(files, study)
    files.make_folder(journal_folder(study))
    files.make_folder(scratch_folder(study))
    lock = files.lock(lock_key(study), subject=f"study {study!r}", holder=this_holder(UPKEEP))
    try:
        mend_folders(files, study)
        before = examine(files, study)
        aside = [*_repair_journals(files, before), *_repair_published(files, before)]
        make_tables(files, study)
        return _plan(before, tuple(files.describe(key) for key in aside))
    finally:
        lock.release()


def _plan(found: Examined, aside: tuple[str, ...]) -> Repair:
    orphans = {row.seq for row in found.orphans}
    held = [one for damage in found.damage for one in damage.held]
    held += [(row.table, row.number) for row in found.orphans]
    lost = {row.number for row in found.orphans if row.number is not None}
    hurt = {number for _, number in held if number is not None} - lost
    known = {row.seq for row in found.rows}
    return Repair(
        study=found.study,
        damage=tuple(found.describe()),
        lost_rows=Counter(table for table, _ in held),
        num_missing=max(known, default=0) - len(known),
        lost_trials=tuple(sorted(lost)),
        hurt_trials=tuple(sorted(hurt)),
        num_kept=len(known) - len(orphans),
        left_out=found.left_out,
        aside=aside,
    )


def _repair_journals(files: Files, found: Examined) -> list[str]:
    """Publish the useful rows of damaged journals and copy the journals aside; returns the copies' keys."""
    orphans = {row.seq for row in found.orphans}
    damaged = {damage.key for damage in found.damage}
    aside = []
    for batch in list_journals(files, found.study).names:
        key = journal_key(found.study, batch)
        content = read_batch(files, found.study, batch)
        if content is None or content.is_foreign(found.study):
            continue
        if key not in damaged and not any(row.seq in orphans for row in content.rows):
            continue
        aside.append(_keep(files, found.study, key))
        published = published_of(files, found.study, batch) if key in damaged else []
        rows = {row.seq: row for row in (*published, *content.rows) if row.seq not in orphans}
        aside += _replace_published(files, found.study, batch, [rows[seq] for seq in sorted(rows)])
        files.remove(key)
    return aside


def _replace_published(files: Files, study: str, batch: str, rows: Sequence[Row]) -> list[str]:
    """Give a batch these rows, each file in one step; returns the keys of copies of its earlier files."""
    aside = []
    for row_type in ROW_TYPES:
        key = segment_key(row_type.table, study, batch)
        is_there = files.exists(key)
        if is_there:
            aside.append(_keep(files, study, key))
        own = [row for row in rows if isinstance(row, row_type)]
        if own:
            put_rows(files, key, row_type.table, own, study=study)
        elif is_there:
            files.remove(key)
    return aside


def _repair_published(files: Files, found: Examined) -> list[str]:
    orphans = {row.seq for row in found.orphans}
    damaged = {damage.key: damage.readable for damage in found.damage}
    aside = []
    for row_type in ROW_TYPES:
        tables_orphans = {row.seq for row in found.orphans if row.table == row_type.table}
        for name in list_published(files, row_type.table, found.study).names:
            key = segment_key(row_type.table, found.study, name)
            if not damaged.get(key, True):
                aside.append(_keep(files, found.study, key))
                files.remove(key)
            elif key in damaged or (
                tables_orphans and _holds_any(files, row_type.table, found.study, key, tables_orphans)
            ):
                aside.append(_keep(files, found.study, key))
                _rewrite(files, row_type.table, found.study, key, orphans)
    return aside


def _holds_any(files: Files, table: str, study: str, key: str, seqs: Collection[int]) -> bool:
    segment = open_segment(files, key, table, study=study)
    bounds = segment.seq_range()
    if bounds is None or not any(bounds[0] <= seq <= bounds[1] for seq in seqs):
        return False
    rows = read_segments(files, table, [segment], columns=["seq"])
    return not set(seqs).isdisjoint(rows.column("seq").to_pylist())


def _rewrite(files: Files, table: str, study: str, key: str, orphans: Collection[int]) -> None:
    """Leave only the rows of a file that can be read and whose trial has its start."""
    segment = open_segment(files, key, table, study=study)
    parsed = parse_rows(ROW_TYPE_OF[table], read_segments(files, table, [segment]))
    kept = [row for row in parsed.rows if row.seq not in orphans]
    files.put(key, parquet_bytes(table, rows_to_arrow(table, kept)), scratch=scratch_folder(study))


def _keep(files: Files, study: str, key: str) -> str:
    """Copy a file to a folder that no reader lists; returns the copy's key."""
    data = files.read(key) or b""
    aside = damaged_key(study, key, data)
    files.make_folder(aside.rpartition("/")[0])
    files.put(aside, data, scratch=scratch_folder(study))
    return aside


def _require_study(files: Files, study: str) -> None:
    if not is_known(files, study):
        raise UnknownNameError("study", study, study_names(files))
