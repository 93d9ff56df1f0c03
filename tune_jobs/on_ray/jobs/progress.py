"""The progress of a study in the metadata of its job, where the Ray dashboard and the Jobs API show it.

Metadata is given when a job is submitted, and Ray has no call that changes it later, so the driver changes
the stored record (`tune_jobs.on_ray.private.note_in_job`). A record that cannot be changed costs the run
nothing. `tune_jobs.on_ray.tuning` calls this.
"""

from __future__ import annotations

import time

from eml_models.wording import count_of
from tune_jobs.on_ray.jobs.job import PROGRESS
from tune_jobs.on_ray.private import note_in_job
from tune_jobs.session.attempt import Progress
from tune_jobs.store.provenance import job_id

PERIOD_S = 10.0


class JobProgress:
    """Writes the progress of a run to its job; does nothing outside of a job."""

    def __init__(self) -> None:
        self._job_id = job_id()
        self._written, self._next_at = "", 0.0

    def update(self, progress: Progress, *, last: bool = False) -> None:
        """Write the progress if it is time and there is news, or if it is the last."""
        now, words = time.monotonic(), describe(progress)
        if self._job_id is None or words == self._written or (now < self._next_at and not last):
            return
        self._next_at, self._written = now + PERIOD_S, words
        note_in_job(self._job_id, PROGRESS, words)


def describe(progress: Progress) -> str:
    """The progress in a few words, without a time, so that equal progress has equal words."""
    words = [f"{progress.trained:,} of {count_of(progress.target, 'trial')}"]
    if progress.failed:
        words.append(f"{progress.failed:,} failed")
    if progress.best is not None:
        words.append(f"best {progress.best:.6g} (trial {progress.best_number})")
    return ", ".join(words)
