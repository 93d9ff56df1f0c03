"""The studies of a store: one definition each, written once when the study is created.

A study exists from the moment its definition's file appears; that file is written last. Creating takes the
store's creation lock for some milliseconds, because a parameter's type must not contradict any other study.
Called by `writer` (create or check), `reader`, `upkeep` and `checkpoints`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from eml_models.errors import InvalidValueError, raise_if_any
from tune_jobs.errors import StoreCorruptError, StudyChangedError
from tune_jobs.store.columns.convert import rows_from_arrow
from tune_jobs.store.columns.params import KNOWN_TYPES, conflicts, param_types
from tune_jobs.store.columns.schema import StudyRow
from tune_jobs.store.files.protocol import Files, open_files
from tune_jobs.store.format.layout import CREATION_LOCK, STUDIES, definition_key, segment_key, table_folder
from tune_jobs.store.format.listing import list_definitions, list_studies
from tune_jobs.store.format.plain_readers import warn_if_new
from tune_jobs.store.format.publishing import make_tables, put_rows
from tune_jobs.store.format.segments import open_segment, read_segments
from tune_jobs.store.format.version_check import require_version
from tune_jobs.study.definition import Study, definition_fingerprint
from tune_jobs.study.differences import differences
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.naming import name_problems
from tune_jobs.study.objective import Direction
from tune_jobs.study.rows import as_json_text

CREATION_WAIT_S = 10.0
REQUIRED = ("version", "recipe", "fit", "sampler", "asha", "limits", "seed", "latency")
"""Keys that every definition has, beside its lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """The studies of a store by name, and in words the definitions that could not be read."""

    studies: Mapping[str, StudyRow]
    problems: Sequence[str]


def read_definitions(files: Files) -> Definitions:
    """Every study of the store; damaged and foreign definitions are left out and named in the problems."""
    listed = list_studies(files, STUDIES)
    problems = listed.problems(files)
    found = {name: _newest(files, name, problems) for name in listed.names}
    rows = _read_all(files, {name: key for name, key in found.items() if key is not None}, problems)
    return Definitions(studies={row.study: row for row in rows}, problems=problems)


def read_definition(files: Files, study: str) -> StudyRow | None:
    """The newest definition of a study; None if there is no such study.

    Raises:
        StoreCorruptError: its file is damaged.
    """
    key = _newest(files, study, [])
    return None if key is None else _read_row(files, key, study)


def study_names(files: Files) -> list[str]:
    """The names of the studies that a store defines, sorted."""
    return sorted(read_definitions(files).studies)


def is_known(store: str | os.PathLike[str] | Files, study: str) -> bool:
    """Whether a store defines a study; the store need not exist."""
    return bool(name_problems(study) == [] and _newest(open_files(store), study, []))


def check_definable(store: str | os.PathLike[str], study: Study) -> None:
    """Check, without writing, that a store takes the study: `create_or_check` would not refuse it.

    The store need not exist.

    Raises:
        StudyChangedError: the store holds another definition under this name.
        InvalidValueError: a parameter's type contradicts another study of the store.
    """
    files = open_files(store)
    existing = read_definition(files, study.name)
    if existing is None:
        _check_types(files, study.name, param_types(study.space, own=study.train is not None))
    else:
        _check_unchanged(files, existing, study)


def create_or_check(
    files: Files, study: Study, *, versions: Mapping[str, str], now: datetime, holder: Mapping[str, object]
) -> None:
    """Define `study` in the store, or check that its definition there is the same.

    The caller holds the study's lock. A new store at a path that other programs misread is warned about.

    Raises:
        StudyChangedError: the store holds another definition under this name.
        InvalidValueError: a parameter's type contradicts another study of the store.
        StoreVersionError: the store is of another version.
    """
    existing = read_definition(files, study.name)
    if existing is not None:
        _check_unchanged(files, existing, study)
        make_tables(files, study.name)
        return
    types = param_types(study.space, own=study.train is not None)
    require_version(files)
    lock = files.lock(CREATION_LOCK, subject="the list of studies", holder=holder, wait_s=CREATION_WAIT_S)
    try:
        _check_types(files, study.name, types)
        warn_if_new(files)
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
    now = parse_object(as_json_text(study.definition()))
    changes = differences(parse_object(existing.definition), now) or ["its fingerprint"]
    raise StudyChangedError(
        f"study {study.name!r} in {files.describe('')!r} has another definition:\n  - "
        + "\n  - ".join(changes)
        + "\nTrials of different definitions cannot be compared. Undo the change, or give the changed study"
        f" its own name with --name={study.name}-2 or --rename; --warm-start={study.name} then lets it learn"
        " from the trials of the old study"
    )


def _check_types(files: Files, study: str, types: Mapping[str, str]) -> None:
    others = {name: parse_object(row.params) for name, row in read_definitions(files).studies.items()}
    found = conflicts(study, types, others)
    if found:
        raise InvalidValueError(
            "a parameter has one type in a store:\n  - "
            + "\n  - ".join(found)
            + "\nRename the parameter, give it the type of the other study, or choose another store with"
            " --store"
        )


def _newest(files: Files, study: str, problems: list[str]) -> str | None:
    listed = list_definitions(files, study)
    problems += listed.problems(files)
    if not listed.names:
        return None
    return segment_key(STUDIES, study, max(listed.names, key=lambda name: (len(name), name)))


def _read_all(files: Files, keys: Mapping[str, str], problems: list[str]) -> list[StudyRow]:
    """All definitions; the damaged ones are added to `problems`."""
    rows = []
    for study, key in keys.items():
        try:
            rows.append(_read_row(files, key, study))
        except StoreCorruptError as error:
            problems.append(str(error))
    return rows


def _read_row(files: Files, key: str, study: str) -> StudyRow:
    """The definition in a file.

    Raises:
        StoreCorruptError: the file is damaged, or of another study.
    """
    path = files.describe(key)
    segment = open_segment(files, key, STUDIES, study=study)
    try:
        rows = rows_from_arrow(StudyRow, read_segments(files, STUDIES, [segment]))
        if len(rows) != 1:
            raise InvalidValueError(segment.problems[0] if segment.problems else f"it has {len(rows)} rows")
        check_definition(rows[0])
    except InvalidValueError as error:
        raise StoreCorruptError(
            f"{path!r} does not define study {study!r}: {error}; restore it from a backup, or delete the"
            " study"
        ) from error
    return rows[0]


def check_definition(row: StudyRow) -> None:
    """Refuse a definition that does not have its own fingerprint or lacks a key.

    Raises:
        InvalidValueError: with all problems.
    """
    problems = []
    definition, types = parse_object(row.definition), parse_object(row.params)
    digest = definition_fingerprint(row.definition)
    if digest != row.fingerprint:
        problems.append(f"its fingerprint is {row.fingerprint!r}, its text gives {digest!r}")
    lists = {name: definition.get(name) for name in ("objectives", "rungs", "space", "candidates")}
    problems += [f"{name} must be a list" for name, value in lists.items() if not isinstance(value, list)]
    problems += [f"{name} is missing" for name in REQUIRED if name not in definition]
    if not problems:
        problems += [
            f"an objective has a metric and a direction, got {o!r:.60}"
            for o in lists["objectives"] or [None]
            if not _is_objective(o)
        ]
    problems += [
        f"parameter {name!r:.60} must have one of the types {', '.join(KNOWN_TYPES)}, got {kind!r:.60}"
        for name, kind in types.items()
        if kind not in KNOWN_TYPES or not name.isidentifier()
    ]
    raise_if_any("definition", problems)


def _is_objective(data: object) -> bool:
    return (
        isinstance(data, dict)
        and isinstance(data.get("metric"), str)
        and data.get("direction") in list(Direction)
    )
