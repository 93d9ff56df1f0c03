"""The studies of a store: what defines each, written once when it is created.

A study exists from the moment its definition's file appears; that file is written last. Creating takes the
store's creation lock for some milliseconds, because a parameter's type must not contradict any other study.
Called by `writer` (create or check) and `reader`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow.dataset as ds

from eml_models.errors import InvalidValueError
from tune_jobs.definition import differences
from tune_jobs.errors import StoreCorruptError, StudyChangedError
from tune_jobs.store.convert import rows_from_arrow
from tune_jobs.store.files import Files, open_files
from tune_jobs.store.layout import (
    CREATION_LOCK,
    SEGMENT_SUFFIX,
    STUDIES,
    definition_key,
    study_of_folder,
    table_folder,
)
from tune_jobs.store.params import conflicts, param_types
from tune_jobs.store.schema import StudyRow
from tune_jobs.store.segments import make_tables, open_segment, put_rows, read_segments
from tune_jobs.study import Study
from tune_jobs.trial import as_json_text

CREATION_WAIT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """The studies of a store by name, and what could not be read."""

    studies: Mapping[str, StudyRow]
    problems: Sequence[str]


def read_definitions(files: Files) -> Definitions:
    """Every study of the store; a damaged definition is named among the problems and left out."""
    names = [name for folder in files.list_names(STUDIES) if (name := study_of_folder(folder)) is not None]
    found = ((name, _newest_key(files, name)) for name in names)
    keys = {name: key for name, key in found if key is not None}
    problems: list[str] = []
    rows = _read_all(files, keys, problems)
    return Definitions(studies={row.study: row for row in rows if row.study in keys}, problems=problems)


def read_definition(files: Files, study: str) -> StudyRow | None:
    """The newest definition of a study; None if there is no such study.

    Raises:
        StoreCorruptError: its file is damaged.
    """
    key = _newest_key(files, study)
    if key is None:
        return None
    rows = _read_rows(files, [open_segment(files, key, STUDIES)])
    if len(rows) != 1 or rows[0].study != study:
        raise StoreCorruptError(f"{files.describe(key)!r} does not define study {study!r}")
    return rows[0]


def is_known(store: str | os.PathLike[str] | Files, study: str) -> bool:
    """Whether a store, which need not exist, defines a study."""
    return _newest_key(open_files(store), study) is not None


def create_or_check(
    files: Files, study: Study, *, versions: Mapping[str, str], now: datetime, holder: Mapping[str, object]
) -> None:
    """Make sure that the store defines `study` just so. The caller holds the study's lock.

    Raises:
        StudyChangedError: it holds another definition under this name.
        InvalidValueError: a parameter's type contradicts another study of the store.
    """
    existing = read_definition(files, study.name)
    if existing is not None:
        _check_unchanged(files, existing, study)
        make_tables(files, study.name)
        return
    types = param_types(study.space)
    lock = files.lock(CREATION_LOCK, subject="the list of studies", holder=holder, wait_s=CREATION_WAIT_S)
    try:
        _check_types(files, study.name, types)
        make_tables(files, study.name)
        files.make_folder(table_folder(STUDIES, study.name))
        row = StudyRow(
            study=study.name,
            definition=as_json_text(study.definition()),
            fingerprint=study.fingerprint(),
            params=as_json_text(types),
            description=study.description,
            created_at=now,
            versions=as_json_text(dict(versions)),
        )
        put_rows(files, definition_key(study.name), STUDIES, [row], study=study.name)
    finally:
        lock.release()


def _check_unchanged(files: Files, existing: StudyRow, study: Study) -> None:
    if existing.fingerprint == study.fingerprint():
        return
    now = json.loads(as_json_text(study.definition()))
    changes = differences(json.loads(existing.definition), now) or ["its fingerprint"]
    raise StudyChangedError(
        f"study {study.name!r} in {files.describe('')!r} has another definition:\n  - "
        + "\n  - ".join(changes)
        + "\nTrials of different definitions cannot be compared: give this one its own name with"
        f" --name {study.name}-2 (or let --rename choose one; --warm-start {study.name} lets it learn from"
        " these), or undo the change"
    )


def _check_types(files: Files, study: str, types: Mapping[str, str]) -> None:
    others = {name: json.loads(row.params) for name, row in read_definitions(files).studies.items()}
    found = conflicts(study, types, others)
    if found:
        raise InvalidValueError(
            "a parameter has one type in a store:\n  - "
            + "\n  - ".join(found)
            + "\nRename the parameter, give it the same type, or choose another store with --store"
        )


def _newest_key(files: Files, study: str) -> str | None:
    folder = table_folder(STUDIES, study)
    names = [name for name in files.list_names(folder) if name.endswith(SEGMENT_SUFFIX)]
    return f"{folder}/{max(names, key=lambda name: (len(name), name))}" if names else None


def _read_all(files: Files, keys: Mapping[str, str], problems: list[str]) -> list[StudyRow]:
    """All definitions at once; if that fails, one by one, so that the damaged ones can be named."""
    opened = []
    for key in keys.values():
        try:
            opened.append(open_segment(files, key, STUDIES))
        except StoreCorruptError as error:
            problems.append(str(error))
    try:
        return _read_rows(files, opened)
    except StoreCorruptError:
        rows = []
        for segment in opened:
            try:
                rows += _read_rows(files, [segment])
            except StoreCorruptError as error:
                problems.append(str(error))
        return rows


def _read_rows(files: Files, opened: Sequence[ds.ParquetFileFragment]) -> list[StudyRow]:
    return rows_from_arrow(StudyRow, read_segments(files, STUDIES, opened))
