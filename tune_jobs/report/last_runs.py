"""The last run of a study in a word and in a sentence: it runs, it was killed, or how it ended.

Rows alone cannot tell a living run from a killed run: neither has an end. The study's lock can.
Pure; called by `leaderboard` and `documents`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eml_models.wording import listed
from tune_jobs.store.files.holders import Hold
from tune_jobs.study.events import SessionEnded, SessionStarted, detail_of
from tune_jobs.study.rows import EventKind, EventRow, Row

RUNNING, KILLED = "running", "killed"
NO_END = "no end yet"
"""The rows of the last run have no end, and this machine cannot tell whether its process lives."""
NO_RUN = "none yet"


def last_end(rows: Iterable[Row]) -> str:
    """How the last run ended by the rows of a study: a `SessionEnd`, `NO_END` or `NO_RUN`."""
    end = NO_RUN
    for detail in (detail_of(row) for row in rows if isinstance(row, EventRow)):
        if isinstance(detail, SessionStarted):
            end = NO_END
        elif isinstance(detail, SessionEnded):
            end = detail.how
    return end


def wanted_trials(rows: Iterable[Row]) -> int | None:
    """The number of trials that the last run is to end with; None if no row says it."""
    begun = (row for row in rows if isinstance(row, EventRow) and row.kind is EventKind.SESSION_STARTED)
    wanted = None
    for detail in map(detail_of, begun):
        if isinstance(detail, SessionStarted):
            wanted = detail.trials
    return wanted


def last_run(end: str, hold: Hold | None) -> str:
    """The last run in a word.

    Args:
        end: what the rows say, as `last_end` returns it.
        hold: the study's lock. A lock that something else than a run holds shows that no run lives.
    """
    if hold is not None and hold.is_run and hold.lives:
        return RUNNING
    if end != NO_END:
        return end
    return NO_END if hold is not None and hold.is_run and hold.lives is None else KILLED


def notes_of_runs(ends: Mapping[str, str], holds: Mapping[str, Hold | None]) -> list[str]:
    """A sentence for each study that runs or may run, and one for all whose last run was killed.

    Args:
        ends: what the rows of each study say, by its name.
    """
    notes, killed = [], []
    for study, end in ends.items():
        hold = holds.get(study)
        run = last_run(end, hold)
        if run == KILLED:
            killed.append(study)
        elif hold is not None and run == RUNNING:
            notes.append(f"{study} is running: {hold.describe()}")
        elif hold is not None and run == NO_END:
            notes.append(
                f"the last run of {study} has no end. {hold.describe()} runs it or was killed; this machine"
                " cannot tell. If it was killed, the same command continues the study"
            )
    if killed:
        notes.append(
            f"the last run of {killed[0]} was killed; the same command continues it"
            if len(killed) == 1
            else f"the last runs of {listed(killed)} were killed; the same commands continue them"
        )
    return notes
