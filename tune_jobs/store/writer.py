"""Writes the rows of one study: durable when `append` returns, published for readers in batches.

Guarantees. An appended row is on disk (one journal line, fdatasync) before its `seq` is returned, and rows
that are appended together are all kept or none. `seq` counts the rows of a study over all tables, without
gaps, even if clocks step. A batch is published after 64 ended trials, 2,048 reports or 30 s, and on close:
starts, reports, trials, events, so that a trial never appears before its reports. Killed at any point,
nothing acknowledged is lost and nothing appears twice: the next writer publishes the journals under the same
names. A study has at most one living writer; any number of studies, processes and machines write at once.

When an append fails (disk full, I/O error), its line is taken back, the error is raised, and this writer
takes no more rows: every acknowledged row is safe, and the next writer of the study continues after it. When
publishing fails, the rows stay in the journal and the writer tries again later; only `close` raises an error.

Used from one thread, by `session`. An append costs one fdatasync, which rows that are appended with `more`
share with the next; the append that fills a batch also publishes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from eml_models.errors import InvalidValueError
from tune_jobs.errors import StoreError
from tune_jobs.store.batches import Batch, PublishPolicy
from tune_jobs.store.columns.convert import as_plain
from tune_jobs.store.files.holders import RUN, this_holder
from tune_jobs.store.files.protocol import AppendFile, Files, Lock, open_files
from tune_jobs.store.format.definitions import create_or_check
from tune_jobs.store.format.journal import encode_line
from tune_jobs.store.format.layout import (
    batch_name,
    journal_folder,
    journal_key,
    lock_key,
    new_writer,
    scratch_folder,
)
from tune_jobs.store.format.publishing import publish
from tune_jobs.store.notes import LOG, tell_left_out
from tune_jobs.store.upkeep.examining import examine
from tune_jobs.store.upkeep.recovery import mend_folders, recover
from tune_jobs.study.definition import Study
from tune_jobs.study.instants import utc_now
from tune_jobs.study.rows import EventKind, EventRow, ReportRow, Row

R = TypeVar("R", bound=Row)


class StudyWriter:
    """The one living writer of a study. Made by `StudyWriter.open`; a context manager.

    Attributes:
        study: the study that is written.
        rows: every acknowledged row of the study, in `seq` order; grows as this writer appends.
        problems: foreign files that were left out on opening, in words; also logged.
    """

    def __init__(
        self, files: Files, study: Study, lock: Lock, *, policy: PublishPolicy, elapsed: Callable[[], float]
    ) -> None:
        self.study = study
        self._files, self._lock, self._policy, self._elapsed = files, lock, policy, elapsed
        found = examine(files, study.name)  # before anything is published
        self.problems, self._rows = found.left_out, list(found.require_whole())
        tell_left_out(self.problems)
        recover(files, study.name)
        self._last_seq = self._rows[-1].seq if self._rows else 0
        self._writer, self._num_batches = new_writer(self._last_seq + 1), 0
        self._batch: Batch | None = None
        self._journal: AppendFile | None = None
        self._sealed: list[Batch] = []
        self._retry_at = 0.0
        self._usable, self._closed = True, False
        self._failure = "it was interrupted; every acknowledged row is safe, open the study again to continue"

    @classmethod
    def open(
        cls,
        store: str | os.PathLike[str] | Files,
        study: Study,
        *,
        versions: Mapping[str, str],
        clock: Callable[[], datetime] = utc_now,
        elapsed: Callable[[], float] = time.monotonic,
        policy: PublishPolicy | None = None,
    ) -> Self:
        """Open a study for writing; the store and the study are created if they are new.

        Args:
            store: the folder, or its files.
            versions: the software that creates the study.
            clock: gives the current instant; it may step, since no order depends on it.
            elapsed: gives seconds that never step, for the age of a batch.

        Raises:
            StudyChangedError: the store holds another definition under this name.
            InvalidValueError: a parameter's type contradicts another study of the store.
            StoreLockedError: another living writer holds the study.
            StoreVersionError: the store is of another version.
            StoreCorruptError: a journal or a published file of the study is damaged; nothing was published.
            StoreError: the store cannot be written.
        """
        files = open_files(store)
        files.make_folder(journal_folder(study.name))
        files.make_folder(scratch_folder(study.name))
        now = clock()
        holder = this_holder(RUN, now)
        lock = files.lock(lock_key(study.name), subject=f"study {study.name!r}", holder=holder)
        try:
            mend_folders(files, study.name)
            create_or_check(files, study, versions=versions, now=now, holder=holder)
            return cls(files, study, lock, policy=policy or PublishPolicy(), elapsed=elapsed)
        except BaseException:  # an interrupt too must release the lock
            lock.release()
            raise

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    def append(self, row: R) -> R:
        """Acknowledge one row; returns the stored row, with its `seq`.

        Raises:
            InvalidValueError: the row is of another study, has a `seq` already, or does not fit its columns.
            StoreError: the row could not be written; this writer takes no more rows.
        """
        (stored,) = self.append_many([row])
        return stored

    def append_many(self, rows: Sequence[R], *, more: bool = False) -> list[R]:
        """Acknowledge several rows at once, all or none; see `append`.

        Args:
            more: whether other rows follow at once. The rows then get their `seq`, and are acknowledged with
                the rows that follow; nothing may be done because of them before.
        """
        if not rows:
            return []
        self._check_open()
        stored, plain = [], []
        for seq, row in enumerate(rows, start=self._last_seq + 1):
            values = self._checked(row)
            values["seq"] = seq
            stored.append(_as_stored(row, values))
            plain.append((row.table, values))
        self._usable = False  # stays so if anything interrupts the next lines
        try:
            batch = self._open_batch()
            assert self._journal is not None
            self._journal.append(encode_line(plain), may_wait=not any(map(_binds, rows)), more=more)
        except Exception as error:  # kept for the message of the next append
            self._failure = str(error) or type(error).__name__
            raise
        self._last_seq += len(stored)
        batch.add(stored)
        self._rows += stored
        self._usable = True
        if not more:
            self.publish_if_due()
        return stored

    def publish_if_due(self) -> None:
        """Publish the batch if it is full or old enough; a waiting driver calls this now and then."""
        now = self._elapsed()
        due = self._batch is not None and self._batch.is_due(self._policy, now)
        if now >= self._retry_at if self._sealed else due:
            self._publish_logged()

    def close(self) -> None:
        """Publish all rows and release the study's lock. A second call does nothing.

        Raises:
            StoreError: publishing failed; the rows are safe in the journal, and the next writer publishes
                them.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._usable:
                self._publish()
        finally:
            self._close_journal()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StoreError as close_error:
            if error is None:
                raise
            LOG.warning("%s", close_error)  # the first error is the one to show

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the writer of study {self.study.name!r} is closed; open the study again")
        if not self._usable:
            raise StoreError(
                f"an earlier write to study {self.study.name!r} failed, so this writer takes no more rows:"
                f" {self._failure}"
            )

    def _checked(self, row: Row) -> dict[str, Any]:
        if row.study != self.study.name:
            raise InvalidValueError(f"a row of study {row.study!r} cannot go to study {self.study.name!r}")
        if row.seq:
            raise InvalidValueError(
                f"a row gets its seq from the store, got a row with seq {row.seq}; append it without"
            )
        return as_plain(row)

    def _open_batch(self) -> Batch:
        if self._batch is None:
            self._num_batches += 1
            name = batch_name(self._writer, self._num_batches)
            self._journal = self._files.open_append(journal_key(self.study.name, name))
            self._batch = Batch(name=name, since=self._elapsed(), rows=[])
        return self._batch

    def _publish_logged(self) -> None:
        try:
            self._publish()
        except StoreError as error:
            self._retry_at = self._elapsed() + self._policy.seconds
            LOG.warning("could not publish yet; the rows are safe in the journal: %s", error)

    def _publish(self) -> None:
        """Publish the batch, and before it the batches whose publishing failed, in order.

        A batch takes no more rows after this call, even if it fails: some of its files may be visible
        already.
        """
        if self._batch is not None:
            self._close_journal()
            self._sealed.append(self._batch)
            self._batch = None
        while self._sealed:
            batch = self._sealed[0]
            publish(self._files, self.study.name, batch.name, batch.rows)
            self._files.remove(journal_key(self.study.name, batch.name))
            del self._sealed[0]

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def _binds(row: Row) -> bool:
    """Whether the search depends on a row: a start, a decision, an end, an event of the whole session."""
    if isinstance(row, ReportRow):
        return row.decision is not None
    return not (isinstance(row, EventRow) and row.kind is EventKind.ATTEMPT_STARTED)


def _as_stored(row: R, values: Mapping[str, Any]) -> R:
    """The row with its `seq`, and with the values that `as_plain` had to change."""
    changed = {
        name: value for name, value in values.items() if value is not None and value != getattr(row, name)
    }
    return replace(row, **changed)
