"""Reads a study, or the list of studies, into a moment. Takes no lock and writes nothing.

Blocking: `watching` calls it in threads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from eml_models.wording import count_of
from tune_jobs.report.board.moment import Builders, Moment
from tune_jobs.report.board.store_parts import STUDIES, studies_part
from tune_jobs.report.board.study_parts import NOW, study_builders
from tune_jobs.report.figures.seen import Seen, latencies_of
from tune_jobs.report.last_runs import NO_END, NO_RUN, last_end, last_run, wanted_trials
from tune_jobs.report.leaderboard import STUDIES_SQL
from tune_jobs.store.files.holders import Hold
from tune_jobs.store.files.protocol import is_url
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.parsed import ParsedFiles
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.instants import utc_now
from tune_jobs.study.rows import EventRow, ReportRow, Row, StartRow, TrialRow

Convert = Callable[[StudySnapshot, Seen, Sequence[str]], Builders]
"""Makes parts of a study, its rows as figures take them, and the damage that was left out, in words."""

LOOK_S = 2.0
"""Least seconds between two looks at a store in a folder; a look lists folders and opens no file."""

LOOK_BUCKET_S = 10.0
"""The same for a store in a bucket, where a look is seven requests or more."""

LOOK_BUCKET_STUDIES_S = 60.0
"""The same for all studies of a bucket, each with requests of its own."""


class Source(Protocol):
    """What is read again and again.

    Attributes:
        look_s: least seconds between two looks.
    """

    look_s: float

    def stamp(self) -> Hashable:
        """A value that changes when there is something new to read.

        Raises:
            EmlError: the store cannot be looked at.
        """

    def read(self, stamp: Hashable, earlier: Moment[Any] | None) -> Moment[Any]:
        """What there is now.

        Args:
            stamp: as `stamp` returned it before.
            earlier: the newest earlier reading, whose parts are kept where they are still true.

        Raises:
            EmlError: it cannot be read, or is not there.
        """

    def forget(self) -> None:
        """Forget what was learned of files, since something was wrong with them."""


class OpenedStore:
    """A store that is opened when it is needed, and again after a fault."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._opened: TrialStore | None = None

    def get(self) -> TrialStore:
        """The store.

        Raises:
            StoreMissingError: there is none.
        """
        if self._opened is None:
            self._opened = TrialStore(self._store)
        return self._opened

    def forget(self) -> None:
        self._opened = None


class StudySource:
    """One study of a store.

    Args:
        convert: what is made of the study, in place of the parts of its page.
    """

    def __init__(self, store: str, study: str, *, convert: Convert = study_builders) -> None:
        self.look_s = LOOK_BUCKET_S if is_url(store) else LOOK_S
        self._store, self._study, self._convert = OpenedStore(store), study, convert
        self._parsed = ParsedFiles()

    def stamp(self) -> tuple[Hashable, Hashable]:
        store = self._store.get()
        return store.stamp(self._study), _of_hold(store.hold(self._study))

    def read(self, stamp: Hashable, earlier: Moment[StudySnapshot] | None) -> Moment[StudySnapshot]:
        store = self._store.get()
        with store.noticing() as problems:
            known = store.read(self._study, parsed=self._parsed)
            seen = Seen.of(known, latencies_of(store.latencies(), self._study))
        moment = Moment(
            stamp=stamp,
            subject=known,
            status=_status(known),
            builders=self._convert(known, seen, problems),
            problems=problems,
        )
        if earlier is not None and _same_rows(moment, earlier):  # only the lock has changed
            moment.parts = {name: part for name, part in earlier.parts.items() if name != NOW}
        return moment

    def forget(self) -> None:
        self._store.forget()


class StudiesSource:
    """The list of a store's studies."""

    def __init__(self, store: str) -> None:
        self.look_s = LOOK_BUCKET_STUDIES_S if is_url(store) else LOOK_S
        self._store = OpenedStore(store)

    def stamp(self) -> Hashable:
        store = self._store.get()
        return store.stamp(), tuple(_of_hold(store.hold(name)) for name in store.studies()["study"])

    def read(self, stamp: Hashable, earlier: Moment[None] | None) -> Moment[None]:
        store = self._store.get()
        with store.noticing() as problems:
            holds = {name: store.hold(name) for name in store.studies()["study"]}
            found = store.sql(STUDIES_SQL)
        for name in found["study"][found["how"] == NO_END]:
            holds[name] = holds.get(name) or store.hold(name)  # a run may have begun during the query
        status = f"{count_of(len(found), 'study', 'studies')}. Read at {utc_now():%H:%M:%S} UTC."
        return Moment(
            stamp=stamp,
            subject=None,
            status=status,
            builders={STUDIES: lambda: studies_part(found, holds, problems)},
            problems=problems,
        )

    def forget(self) -> None:
        self._store.forget()


def _of_hold(hold: Hold | None) -> Hashable:
    return None if hold is None else (hold.describe(), hold.lives, hold.is_run)


def _same_rows(moment: Moment[Any], earlier: Moment[Any]) -> bool:
    """Whether two readings of a study have the same files, and left out the same of them."""
    one, other = moment.stamp, earlier.stamp
    same_files = isinstance(one, tuple) and isinstance(other, tuple) and bool(one[0] == other[0])
    return same_files and tuple(moment.problems) == tuple(earlier.problems)


RUNS = {
    NO_RUN: "No run yet",
    NO_END: "The last run has no end; it runs, or was killed",
    "running": "Running",
    "killed": "The last run was killed",
    "finished": "The last run finished",
    "interrupted": "The last run was interrupted",
    "failed": "The last run failed",
}


def _status(known: StudySnapshot) -> str:
    """``Running. 12 of 60 trials have ended. The newest row is of 14:03:22 UTC, read at 14:03:24 UTC.``"""
    run = last_run(last_end(known.rows), known.hold)
    ended = len({row.number for row in known.rows if isinstance(row, TrialRow)})
    wanted = wanted_trials(known.rows)
    if wanted is None or ended > wanted:  # failed trials that were tried again are more than were asked for
        said = f"{count_of(ended, 'trial')} {'has' if ended == 1 else 'have'} ended"
    else:
        said = f"{ended:,} of {count_of(wanted, 'trial')} {'has' if wanted == 1 else 'have'} ended"
    newest = max(map(_instant, known.rows), default=None)
    of = (
        "There is no row yet, at"
        if newest is None
        else f"The newest row is of {newest:%Y-%m-%d %H:%M:%S}, read at"
    )
    return f"{RUNS.get(run, run)}. {said}. {of} {utc_now():%H:%M:%S} UTC."


def _instant(row: Row) -> Any:
    match row:
        case StartRow():
            return row.started_at
        case ReportRow():
            return row.reported_at
        case TrialRow():
            return row.ended_at
        case EventRow():
            return row.happened_at
