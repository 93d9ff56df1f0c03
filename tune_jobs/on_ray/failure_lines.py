"""Says on the driver's log that an attempt failed, and how its output ended.

A study may fail in the same way again and again, so each reason is said once in a run; `show` has the others.
A worker that died could not make the last copy of its log. If it ran on the driver's machine, Ray's files are
here, and the copy is made here. Of a worker on another machine at most a second of output is lost.

`tune_jobs.on_ray.bridge` calls this.
"""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

from eml_models.wording import first_line
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.on_ray.worker.capturing import copy_rest
from tune_jobs.search.records import TrialRecord
from tune_jobs.study.rows import Failure

LOG = logging.getLogger("tune_jobs.run")

NUM_LINES = 8
"""How many lines of its log follow the line about a failure."""


class FailureLines:
    """The lines about failures of one run.

    Args:
        logs: of the study; None for a run without a store, whose attempts have no logs.
        ray_logs: the folder of Ray's logs on this machine.
    """

    def __init__(self, logs: Logs | None = None, *, ray_logs: Path | None = None) -> None:
        self._logs, self._ray_logs = logs, ray_logs
        self._said: set[str] = set()

    def complete(self, record: TrialRecord) -> None:
        """Copy the rest of the output of an attempt whose worker died."""
        if self._logs is not None and self._ray_logs is not None:
            copy_rest(self._logs, record.number, record.attempts, folder=self._ray_logs)

    def say_end(self, record: TrialRecord) -> None:
        """Say that a trial failed. A diverged training is a result, so nothing is said about it."""
        if record.end is not None and record.end.failure is not None and not record.diverged:
            self._say(record, f"trial {record.number} failed: {first_line(record.end.reason)}")

    def say_retry(self, record: TrialRecord, failure: Failure, error: str) -> None:
        """Say that an attempt failed and its trial is tried again."""
        said = f"attempt {record.attempts} {failure.words}: {first_line(error)}"
        self._say(record, f"trial {record.number} is tried again: {said}")

    def _say(self, record: TrialRecord, line: str) -> None:
        kind = line.partition(": ")[2]
        if kind in self._said:
            return
        self._said.add(kind)
        LOG.warning("%s", "\n".join([line, *self._tail(record)]))

    def _tail(self, record: TrialRecord) -> list[str]:
        if self._logs is None:
            return []
        lines = self._logs.tail(record.number, record.attempts, num_lines=NUM_LINES)
        if not lines:
            return []
        words = ["show", self._logs.study, str(record.number), "--log", "--store", self._logs.store]
        return [
            "  its output ended with:",
            *(f"    {line}" for line in lines),
            f"  all of it: python -m tune_jobs {shlex.join(words)}",
        ]
