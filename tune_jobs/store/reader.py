"""Reads a trial store: frames, rows, SQL. Never writes, takes no lock, works on a read-only store.

A reader sees every acknowledged row at once and exactly once, also rows that a living or dead writer has not
published yet. A damaged or foreign file or row is left out, named in `problems` and logged; the rest is read.
Used by `tune_jobs.TrialStore`, the command line, reports and results. Other tools read the published files
without this module::

    pandas.read_parquet("STORE/trials")
    pyarrow.dataset.dataset("STORE/trials")
    polars.scan_parquet("STORE/trials/*/*.parquet")
    duckdb.sql("from read_parquet('STORE/trials/*/*.parquet', hive_partitioning = false)")

A few paths of a store need another query, which `format.plain_readers` gives.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from eml_models.errors import UnknownNameError, did_you_mean
from tune_jobs.errors import QueryError, SegmentGoneError, StoreMissingError
from tune_jobs.store.columns.convert import rows_to_arrow
from tune_jobs.store.columns.metrics import METRICS, TABLES_WITH_METRICS
from tune_jobs.store.columns.params import OwnParam, own_params_of
from tune_jobs.store.columns.schema import PARAM_PREFIX, ROW_TYPE_OF, StudyRow, columns_of
from tune_jobs.store.files.file_urls import as_folder
from tune_jobs.store.files.holders import Hold
from tune_jobs.store.files.protocol import Files, is_url, open_files
from tune_jobs.store.format.definitions import Definitions, read_definition, read_definitions
from tune_jobs.store.format.layout import (
    DEVICE_SLUG,
    LATENCIES,
    LOCK,
    STUDIES,
    journal_folder,
    lock_key,
    table_folder,
)
from tune_jobs.store.format.listing import list_devices, list_studies
from tune_jobs.store.format.plain_readers import holds_store
from tune_jobs.store.latencies import latency_snapshot, read_latencies
from tune_jobs.store.notes import tell_left_out, tell_note
from tune_jobs.store.reading import queries
from tune_jobs.store.reading.answers import Answer, as_answer
from tune_jobs.store.reading.column_notes import metric_notes, query_notes
from tune_jobs.store.reading.connection import QueryLimits
from tune_jobs.store.reading.frames import as_frame
from tune_jobs.store.reading.own_metrics import find_metrics
from tune_jobs.store.reading.parsed import ParsedFiles
from tune_jobs.store.reading.snapshot import Segments, TableSnapshot, take_snapshot
from tune_jobs.store.reading.study_snapshot import StudySnapshot, study_frame, tables_of
from tune_jobs.store.reading.unfilled import trains_itself, unfilled_columns
from tune_jobs.store.upkeep.examining import examine
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.rows import Row

T = TypeVar("T")
RETRY_AFTER_S = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Waits before the next try to read a study that a compaction is exchanging, which takes milliseconds."""


class TrialStore:
    """A store, opened for reading.

    Columns of integers that may be missing have pandas' type `Int64`, so that they stay integers. Other
    missing values are NaN, NaT or None, as in pandas. Instants are in UTC and carry no zone;
    ``frame["ended_at"].dt.tz_localize("UTC")`` adds it.

    Args:
        store: the folder, or its files.

    Attributes:
        path: the folder as the caller gave it (of a file URL, the folder that it names), or the URL.
        problems: the damaged and foreign files that reads have met so far, in words.

    Raises:
        StoreMissingError: there is no store.
    """

    def __init__(self, store: str | os.PathLike[str] | Files) -> None:
        self._files = open_files(store)
        text = as_folder(os.fspath(store)) if isinstance(store, str | os.PathLike) else store.describe("")
        self.path: Path | str = text if is_url(text) else Path(text)
        self._segments = Segments(files=self._files)
        self._problems: dict[str, None] = {}
        self._noted: set[str] = set()
        self._met: list[list[str]] = []
        _check_is_store(self._files, str(self.path))

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(self._problems)

    @contextmanager
    def noticing(self) -> Iterator[Sequence[str]]:
        """The damaged and foreign files that the reads of the block meet, in words, each once.

        `problems` has those of all reads, also what a repair has mended since.
        """
        met: list[str] = []
        self._met.append(met)
        try:
            yield met
        finally:
            self._met = [other for other in self._met if other is not met]

    def studies(self) -> pd.DataFrame:
        """One row per study: its definition (JSON), its fingerprint, the types of its parameters, the instant
        of its creation, and the versions that created it."""
        return as_frame(rows_to_arrow(STUDIES, list(self._definitions().studies.values())))

    def definition(self, study: str) -> dict[str, Any]:
        """The definition of a study, as its row has it.

        Raises:
            UnknownNameError: there is no such study; the message lists the studies of the store.
        """
        return parse_object(self._require(study).definition)

    def read(self, study: str, *, whole: bool = False, parsed: ParsedFiles | None = None) -> StudySnapshot:
        """A study at one instant, for callers that need several of its tables.

        Args:
            whole: whether damage raises an error instead of being left out. An audit needs the whole history.
            parsed: the published files of this study that earlier calls have parsed; only new files are
                parsed, and are added.

        Raises:
            UnknownNameError: there is no such study; the message lists the studies of the store.
            StoreCorruptError: `whole` is true and some of the study is damaged; the message names the files
                and the way out.
        """
        return self._while_compacting(lambda: self._read(study, whole=whole, parsed=parsed))

    def stamp(self, study: str | None = None) -> Hashable:
        """A value that changes when a row of a study is acknowledged, or a file of it comes or goes.

        Costs a listing of its folders; no file is opened. Timings of networks count as rows of each study.
        The lock is left out: `hold` looks at it.

        Args:
            study: its name; None for all studies of the store.

        Raises:
            StoreError: the store cannot be listed.
        """
        names = list_studies(self._files, STUDIES).names if study is None else [study]
        folders = [f"{LATENCIES}/{DEVICE_SLUG}{device}" for device in list_devices(self._files).names]
        for name in names:
            folders += [table_folder(table, name) for table in (STUDIES, *ROW_TYPE_OF)]
            folders.append(journal_folder(name))
        sizes = [(folder, self._files.list_sizes(folder).items()) for folder in folders]
        return tuple(
            (folder, *sorted(s for s in found if not s[0].startswith(LOCK))) for folder, found in sizes
        )

    def trials(self, study: str | None = None) -> pd.DataFrame:
        """One row per ended trial, of one study or all, with a typed `param_` column for each parameter."""
        return self._while_compacting(lambda: self._frame("trials", study))

    def count_trials(self, study: str) -> int:
        """The number of ended trials of a study, from the footers of its files; no row is loaded.

        Rows in a damaged page of a file count too, since no page is read.
        """
        return self._while_compacting(lambda: self._count("trials", study))

    def reports(self, study: str | None = None) -> pd.DataFrame:
        """One row for each epoch of each trial, of one study or all.

        Like `trials` it has a typed column for each metric of own training, as the views of `sql` have it
        (`tune_jobs.store.columns.metrics`).
        """
        return self._while_compacting(lambda: self._frame("reports", study))

    def starts(self, study: str | None = None) -> pd.DataFrame:
        """One row per attempt: the proposal, and the instant at which a worker got it."""
        return self._while_compacting(lambda: self._frame("starts", study))

    def events(self, study: str | None = None) -> pd.DataFrame:
        """One row per event of the driver's sessions."""
        return self._while_compacting(lambda: self._frame("events", study))

    def latencies(self) -> pd.DataFrame:
        """One row per network and mode that was timed, oldest first."""
        problems: list[str] = []
        rows = read_latencies(self._segments, problems)
        self._note(problems)
        required = [column.name for column in columns_of(LATENCIES) if not column.optional]
        return as_frame(rows, required=required)

    def rows(self, study: str) -> list[Row]:
        """Every acknowledged row of a study, over all tables, in `seq` order."""
        return list(self.read(study).rows)

    def hold(self, study: str) -> Hold | None:
        """The lock of a study: who runs it, or died while running it. None if the lock is free.

        The lock is only looked at. To tell a living run from a killed run, look before the rows
        are read, and again if the lock was free.
        """
        return self._files.read_lock(lock_key(study))

    def sql(
        self, query: str, max_rows: int | None = None, *, limits: QueryLimits | None = None
    ) -> pd.DataFrame:
        """Answer a SQL query over the views studies, starts, reports, trials, events and latencies.
        Read-only.

        SQL ignores the case of letters in names. So parameters that differ only by case (w, W) get columns
        that say where the capitals are (`param_w_caps0`, `param_W_caps1`); frames of `trials` keep the names.
        The columns of metrics of own training are those of `tune_jobs.store.columns.metrics`, also in frames.
        A view lists columns that no study of the store fills behind all others, such as those of shipped
        parameters in a store of own training.

        Args:
            max_rows: the most rows that are fetched; None for all.
            limits: memory, time and threads that the query may take.

        Raises:
            QueryError: the SQL is wrong, has several statements, returns no rows, or uses anything except the
                views.
        """
        limits = limits or QueryLimits()
        return as_frame(self._while_compacting(lambda: self._query(query, max_rows, limits)))

    def answer(self, query: str) -> Answer:
        """The same as `sql` in tuples of Python's own values, without pandas in between.

        Raises:
            QueryError: as for `sql`.
        """
        limits = QueryLimits()
        return as_answer(self._while_compacting(lambda: self._query(query, None, limits)))

    def param_column(self, name: str, *, study: str | None = None) -> str:
        """A parameter's column in the views of `sql`: ``param_NAME`` unless names differ only by case.

        Args:
            study: a study of which the values are; own training may have them in a column of another type.
        """
        studies = self._definitions().studies
        own_params = _own_params(studies.values())
        called = queries.own_columns(own_params)
        if study is not None and study in studies:
            kind = parse_object(studies[study].params).get(name)
            wanted = OwnParam(name=name, kind=str(kind))
            return next((called[c] for c, own in own_params.items() if own == wanted), PARAM_PREFIX + name)
        return called.get(name, PARAM_PREFIX + name)

    def _while_compacting(self, read: Callable[[], T]) -> T:
        """The result of `read`, which is called again if a compaction or a deletion removes its files."""
        for wait_s in RETRY_AFTER_S:
            try:
                return read()
            except SegmentGoneError:
                self._segments.forget()
                time.sleep(wait_s)
        return read()

    def _read(self, study: str, *, whole: bool, parsed: ParsedFiles | None) -> StudySnapshot:
        defined = self._require(study)
        hold = self.hold(study)
        if whole:
            rows: Sequence[Row] = examine(self._files, study).require_whole()
            tables = tables_of(rows)
        else:
            problems: list[str] = []
            snapshot = take_snapshot(self._segments, tuple(ROW_TYPE_OF), study=study, problems=problems)
            tables, rows = (parsed or ParsedFiles()).read(snapshot, self._files, problems)
            self._note(problems)
        return StudySnapshot(
            study=study,
            definition=parse_object(defined.definition),
            rows=tuple(rows),
            tables=tables,
            own_params=_own_params([defined]),
            hold=hold or self.hold(study),  # a run may have begun while the rows were read
        )

    def _query(self, query: str, max_rows: int | None, limits: QueryLimits) -> pa.Table:
        problems: list[str] = []
        snapshot = take_snapshot(self._segments, tuple(ROW_TYPE_OF), problems=problems)
        snapshot[LATENCIES] = latency_snapshot(self._segments, problems)
        self._note(problems)
        try:
            return self._answer(query, snapshot, max_rows, limits)
        except QueryError:
            whole = {name: part.without_damaged(self._files, problems) for name, part in snapshot.items()}
            if sum(map(_num_segments, whole.values())) == sum(map(_num_segments, snapshot.values())):
                raise
            self._note(problems)
            return self._answer(query, whole, max_rows, limits)

    def _answer(
        self,
        query: str,
        snapshot: dict[str, TableSnapshot],
        max_rows: int | None,
        limits: QueryLimits,
    ) -> pa.Table:
        tables: dict[str, Any] = {name: part.dataset() for name, part in snapshot.items()}
        studies = list(self._definitions().studies.values())
        own_params = _own_params(studies)
        with_metrics = any(map(trains_itself, studies))
        own_metrics = find_metrics(tables, own_params, limits=limits) if with_metrics else {}
        self._tell(query_notes(query, own_params, own_metrics))
        return queries.run_query(
            query,
            {STUDIES: rows_to_arrow(STUDIES, studies), **tables},
            own_params=own_params,
            own_metrics=own_metrics,
            last=unfilled_columns(studies, own_metrics.values()),
            max_rows=max_rows,
            limits=limits,
        )

    def _count(self, table: str, study: str) -> int:
        self._require(study)
        problems: list[str] = []
        snapshot = take_snapshot(self._segments, (table,), study=study, problems=problems)[table]
        self._note(problems)
        return snapshot.num_rows

    def _frame(self, table: str, study: str | None) -> pd.DataFrame:
        studies = self._definitions().studies.values() if study is None else [self._require(study)]
        problems: list[str] = []
        own_params, own_metrics = _own_params(studies), {}
        with_metrics = table in TABLES_WITH_METRICS and any(map(trains_itself, studies))
        names = TABLES_WITH_METRICS if with_metrics else (table,)
        snapshot = take_snapshot(self._segments, names, study=study, problems=problems)
        rows = snapshot[table].read(self._files, problems)
        if with_metrics:
            texts = {name: part.columns(self._files, problems, [METRICS]) for name, part in snapshot.items()}
            own_metrics = find_metrics(texts, own_params)
            self._tell(metric_notes(own_metrics))
        self._note(problems)
        return study_frame(table, rows, own_params, own_metrics)

    def _definitions(self) -> Definitions:
        found = read_definitions(self._files)
        self._note(found.problems)
        return found

    def _require(self, study: str) -> StudyRow:
        row = read_definition(self._files, study)
        if row is None:
            raise UnknownNameError("study", study, self._definitions().studies)
        return row

    def _tell(self, notes: Iterable[str]) -> None:
        """Tell the notes that this store has not told yet."""
        for note in notes:
            if note not in self._noted:
                self._noted.add(note)
                tell_note(note)

    def _note(self, problems: Iterable[str]) -> None:
        each = list(dict.fromkeys(problems))
        for met in self._met:
            met += [problem for problem in each if problem not in met]
        new = [problem for problem in each if problem not in self._problems]
        self._problems |= dict.fromkeys(new)
        tell_left_out(new)


def _check_is_store(files: Files, path: str) -> None:
    if holds_store(files):
        return
    way_out = "run a study with --store to make a store, or name another with --store or TUNE_JOBS_STORE"
    reason = f"the folder has no {STUDIES}/"
    if is_url(path):
        reason = "nothing is there"
    elif not os.path.exists(path):
        reason, way_out = "no such folder", way_out + did_you_mean(path, _stores_beside(path))
    elif not os.path.isdir(path):
        reason = "a store is a folder, and this is a file"
    raise StoreMissingError(f"there is no store at {path!r}: {reason}; {way_out}")


def _stores_beside(path: str) -> list[str]:
    """The stores in the folder in which `path` would be."""
    folder = os.path.dirname(path)
    try:
        beside = [os.path.join(folder, name) for name in os.listdir(folder or ".")]
    except OSError:
        return []
    return [place for place in beside if os.path.isdir(os.path.join(place, STUDIES))]


def _own_params(studies: Iterable[StudyRow]) -> dict[str, OwnParam]:
    """The parameters that have no column of their type in the files (those of users' own spaces)."""
    return own_params_of(parse_object(row.params) for row in studies)


def _num_segments(part: TableSnapshot) -> int:
    return len(part.segments)
