"""Studies as jobs of a Ray cluster: submitted, listed, followed and stopped through Ray's Jobs API.

A job is `python -m tune_jobs run STUDY ...` on the cluster, with the study and its store as metadata. A job
of `ray job submit` has no such metadata and is recognised by its command. The command line's `submit`,
`status`, `logs` and `stop` call this, and show the token before they import it, because Ray reads the mode of
its tokens when it is imported (`tune_jobs.on_ray.cluster.authentication`).
"""

from __future__ import annotations

import os
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from eml_models.errors import InvalidValueError
from tune_jobs.errors import JobError
from tune_jobs.on_ray.cluster.authentication import TOKEN_PATH
from tune_jobs.on_ray.cluster.reaching import jobs_url
from tune_jobs.on_ray.jobs.client import JobClient, only_errors_logged
from tune_jobs.on_ray.jobs.job import CommandReader, Job, Submission, job_of
from tune_jobs.on_ray.jobs.upload import choose_files, describe, pack
from tune_jobs.on_ray.jobs.versions import version_variables
from tune_jobs.on_ray.private import time_of_grace
from tune_jobs.store.provenance import GIT_COMMIT, git_state

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
"""Where a head's dashboard listens, unless it was started with another address."""

GRACE_S = 30
"""Seconds that a submitted job has to end in order when it is stopped; Ray's own default is 3."""

POLL_S = 0.5


class Jobs:
    """The jobs of the cluster at an address.

    Args:
        address: of the dashboard, as a URL or HOST:PORT; None for this machine's.
        read_command: recognises jobs that `ray job submit` started.

    Raises:
        InvalidValueError: the address is neither a URL nor HOST:PORT.
        JobError: nothing answers there, or the token is missing or wrong.
    """

    def __init__(self, address: str | None, read_command: CommandReader) -> None:
        self._read_command = read_command
        self.address = jobs_url(address or DEFAULT_ADDRESS)
        self._client = JobClient(self.address)

    def submit(self, submission: Submission, tell: Callable[[str], object]) -> Job:
        """Upload the working folder and start the job.

        Args:
            tell: gets each line about what is uploaded and what is left out, before anything is sent.

        Raises:
            InvalidValueError: the folder is too large, or a file that the job needs is left out.
            JobError: a job of this cluster runs the study already, or the cluster is of another Ray.
        """
        self._require_same_ray()
        self._require_free(submission)
        job_id = f"{submission.study}-{secrets.token_hex(3)}"
        with _packed(submission, tell) as archive:
            try:
                self._client.submit(
                    job_id,
                    shlex.join(["python", "-m", "tune_jobs", *submission.words]),
                    metadata=submission.metadata,
                    archive=archive,
                    variables={
                        **time_of_grace(GRACE_S),
                        **_describe_commit(submission.folder),
                        **version_variables(),
                    },
                )
                return self.get(job_id)
            except JobError as error:
                if isinstance(error.__cause__, OSError):
                    raise JobError(
                        f"{error} It may have started job {job_id!r} nevertheless: ask for its status once it"
                        " answers"
                    ) from error
                raise

    def list(self) -> list[Job]:
        """All jobs that run studies, the newest first."""
        jobs = [job for details in self._client.list() if (job := job_of(details, self._read_command))]
        return sorted(jobs, key=lambda job: job.started_at or datetime.max.replace(tzinfo=UTC), reverse=True)

    def get(self, job_id: str) -> Job:
        """A job by its id."""
        job = job_of(self._client.get(job_id), self._read_command)
        if job is None:
            raise JobError(f"job {job_id!r} at {self.address} runs no study")
        return job

    def named(self, name: str) -> Sequence[Job]:
        """The jobs of a study that are under way, else its newest job; or the job of that id.

        Raises:
            InvalidValueError: there is none; names the studies that have jobs.
        """
        jobs = self.list()
        found = [job for job in jobs if job.id == name] or [job for job in jobs if job.study == name]
        if not found:
            known = ", ".join(dict.fromkeys(job.study for job in jobs)) or "none"
            raise InvalidValueError(
                f"the cluster at {self.address} knows no job {name!r}; it has jobs of: {known}"
            )
        return [job for job in found if not job.ended] or found[:1]

    def find(self, name: str) -> Job:
        """The one job that `named` finds.

        Raises:
            InvalidValueError: there is none, or several are under way; names them.
        """
        found = self.named(name)
        if len(found) > 1:
            several = ", ".join(f"{job.id} (store {job.store or 'unknown'})" for job in found)
            raise InvalidValueError(
                f"{len(found)} jobs of study {name!r} are under way: {several}; name one by its id"
            )
        return found[0]

    def logs(self, job_id: str) -> str:
        """The job's log so far."""
        return self._client.logs(job_id)

    def follow(self, job_id: str, write: Callable[[str], object]) -> Job:
        """Pass on the job's log until the job ends; returns the job as it ended."""
        self._client.follow(job_id, write)
        return self.wait(job_id)

    def stop(self, job_id: str) -> Job:
        """End a job: SIGTERM, and SIGKILL after its time of grace. Its finished trials are in the store."""
        self._client.stop(job_id)
        return self.wait(job_id)

    def wait(self, job_id: str, seconds: float = GRACE_S + 15.0) -> Job:
        """The job once it has ended, or as it is after that number of seconds."""
        deadline = time.monotonic() + seconds
        while not (job := self.get(job_id)).ended and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return job

    def _require_free(self, submission: Submission) -> None:
        """Refuse a study that another job runs: the new job would fail, and only its log would say so."""
        for job in self.list():
            same_store = job.store is None or job.store.rstrip("/") == submission.store.rstrip("/")
            if job.study == submission.study and same_store and not job.ended:
                raise JobError(
                    f"job {job.id!r} runs study {job.study!r} of store {submission.store!r} already"
                    f" ({job.state.lower()}{_since(job)}). Follow it with `logs {job.id} --follow`, end it"
                    f" with `stop {job.id}`, or submit under another name with --name"
                )

    def _require_same_ray(self) -> None:
        theirs, ours = self._client.ray_version, version("ray")
        if theirs is not None and theirs.split(".")[:2] != ours.split(".")[:2]:
            raise JobError(
                f"the cluster at {self.address} runs Ray {theirs}, and this is written for Ray {ours}: use"
                " the image of docker/, or install the versions of constraints.txt on its nodes"
            )


def _since(job: Job) -> str:
    return f" since {job.started_at:%Y-%m-%d %H:%M:%S} UTC" if job.started_at else ""


@contextmanager
def _packed(submission: Submission, tell: Callable[[str], object]) -> Iterator[Path]:
    """The archive of the working folder, in a folder of this user alone; both are removed at the end."""
    with TemporaryDirectory(prefix="tune-jobs-upload-") as made:
        archive = Path(made) / "folder.zip"
        with only_errors_logged():
            upload = choose_files(
                submission.folder, named=submission.named, secrets=(_token_file(),), follow=submission.follow
            )
        upload.require(submission.needed)
        try:
            num_packed = pack(upload, archive)
        except OSError as error:
            raise JobError(
                f"could not write the archive of the working folder to {made}: {error.strerror}. Set TMPDIR"
                " to a folder with room for it"
            ) from error
        for line in describe(upload, num_packed):
            tell(line)
        yield archive


def _token_file() -> str | None:
    """The file of the cluster's token, where a variable names one: it may lie in the working folder."""
    path = os.environ.get(TOKEN_PATH)
    return os.path.abspath(path) if path else None


def _describe_commit(folder: Path) -> dict[str, str]:
    commit, dirty = git_state(folder)
    return {GIT_COMMIT: f"{commit}{'+' if dirty else ''}"} if commit else {}
