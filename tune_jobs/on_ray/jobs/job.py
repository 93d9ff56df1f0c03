"""A study as a job of a cluster: the job as the cluster describes it, and a submission as a user asks for it.

Asks no cluster; `tune_jobs.on_ray.jobs.submit` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ray.job_submission import JobDetails, JobStatus

from tune_jobs.errors import EXIT_FAILED, EXIT_INTERRUPTED

STUDY, STORE, PROGRESS = "study", "store", "progress"
"""The keys of a job's metadata. The job itself writes the last (`tune_jobs.on_ray.jobs.progress`)."""

CommandReader = Callable[[str], tuple[str | None, str | None]]
"""Reads the study and the store from a command that a user typed; the study is None where it runs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One study that a cluster ran, runs or will run.

    Attributes:
        id: the id of its submission.
        state: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``STOPPED``.
        exit_code: of the command, if it ended by itself.
        progress: in words, as of some seconds ago or of the job's end; None before its first.
    """

    id: str
    study: str
    store: str | None
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    message: str | None
    progress: str | None = None

    @property
    def ended(self) -> bool:
        return JobStatus(self.state).is_terminal()

    @property
    def exit_status(self) -> int:
        """The exit status of a command that waited for the job."""
        if self.state == JobStatus.STOPPED:
            return EXIT_INTERRUPTED
        if self.exit_code is not None:  # negative: the signal that ended it; a shell adds it to 128
            return self.exit_code if self.exit_code >= 0 else 128 - self.exit_code
        return 0 if self.state == JobStatus.SUCCEEDED else EXIT_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A study to run as a job.

    Attributes:
        study: the study's name in the store.
        store: a lasting store, as the cluster's nodes see it.
        words: the words after ``python -m tune_jobs``.
        folder: the working folder, which is uploaded.
        named: paths of data and stores; those in the folder are not uploaded.
        follow: links in the folder that are followed although they lead out of it.
        needed: files in the folder that the command reads.
    """

    study: str
    store: str
    words: Sequence[str]
    folder: Path
    named: Sequence[str | None] = ()
    follow: Sequence[str] = ()
    needed: Sequence[str] = ()

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata of its job, from which `job_of` reads study and store again."""
        return {STUDY: self.study, STORE: self.store}


def job_of(details: JobDetails, read_command: CommandReader) -> Job | None:
    """The job that Ray describes; None if it runs no study.

    Args:
        read_command: reads the command of a job without our metadata, as of ``ray job submit``.
    """
    metadata = details.metadata or {}
    study, store = metadata.get(STUDY), metadata.get(STORE)
    if study is None:
        study, store = read_command(details.entrypoint)
    if study is None or details.submission_id is None:
        return None
    return Job(
        id=details.submission_id,
        study=study,
        store=store,
        state=str(details.status.value),
        started_at=_instant(details.start_time),
        ended_at=_instant(details.end_time),
        exit_code=details.driver_exit_code,
        message=details.message,
        progress=metadata.get(PROGRESS),
    )


def _instant(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
