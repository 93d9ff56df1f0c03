"""Says on the driver's log that an attempt failed, where in the user's code, and how its output ended.

A study may fail in the same way again and again, so each reason is said once in a run; `show` has the others.

`tune_jobs.worker.inline` calls this, and `tune_jobs.on_ray.failures_on_ray` for a run on Ray.
"""

from __future__ import annotations

import logging
import shlex

from eml_models.wording import first_line
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.search.records import TrialRecord
from tune_jobs.study.rows import Failure
from tune_jobs.worker.user_frames import user_frames

LOG = logging.getLogger("tune_jobs.run")

NUM_LINES = 8
"""How many lines of its log follow the line about a failure."""

NUM_FRAMES = 3
"""How many frames of the user's code follow the line about a failure."""


class FailureLines:
    """The lines about failures of one run.

    Args:
        logs: of the study; None for a run without a store, whose attempts have no logs.
    """

    def __init__(self, logs: Logs | None = None) -> None:
        self._logs = logs
        self._said: set[str] = set()

    def say_end(self, record: TrialRecord) -> None:
        """Say that a trial failed. A diverged training is a result, so nothing is said about it."""
        if record.end is not None and record.end.failure is not None and not record.diverged:
            line = f"trial {record.number} failed: {first_line(record.end.reason)}"
            self._say(record, line, error=record.end.error or "", ended=True)

    def say_retry(self, record: TrialRecord, failure: Failure, error: str) -> None:
        """Say that an attempt failed and its trial is tried again."""
        said = f"attempt {record.attempts} {failure.words}: {first_line(error)}"
        self._say(record, f"trial {record.number} is tried again: {said}", error=error)

    def _say(self, record: TrialRecord, line: str, *, error: str, ended: bool = False) -> None:
        kind = line.partition(": ")[2]
        if kind in self._said:
            return
        self._said.add(kind)
        places = [f"  at {frame}" for frame in user_frames(error, most=NUM_FRAMES)]
        more = self._way_to_traceback(record) if ended and error else []
        LOG.warning("%s", "\n".join([line, *places, *more, *self._tail(record)]))

    def _way_to_traceback(self, record: TrialRecord) -> list[str]:
        """Where the whole error is: a row has it only once its trial has ended."""
        return [] if self._logs is None else [f"  its traceback: {_show(self._logs, record.number)}"]

    def _tail(self, record: TrialRecord) -> list[str]:
        if self._logs is None:
            return []
        lines = self._logs.tail(record.number, record.attempts, num_lines=NUM_LINES)
        if not lines:
            return []
        return [
            "  its output ended with:",
            *(f"    {line}" for line in lines),
            f"  all of it: {_show(self._logs, record.number, '--log')}",
        ]


def _show(logs: Logs, number: int, *options: str) -> str:
    words = ["show", logs.study, str(number), *options, "--store", logs.store]
    return f"python -m tune_jobs {shlex.join(words)}"
