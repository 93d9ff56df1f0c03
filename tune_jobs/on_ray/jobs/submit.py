"""Studies as jobs of a Ray cluster: submitted, listed, followed and stopped through Ray's Jobs API.

A job is `python -m tune_jobs run STUDY ...` on the cluster, with the study and its store as metadata; one
that was submitted by `ray job submit` is recognised by its command. Everything goes over the dashboard's
address; nothing here connects to the cluster as a driver does. Who imports this has shown the token before
(`tune_jobs.on_ray.cluster.authentication`): Ray reads the mode when it is imported.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shlex
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from ray.exceptions import AuthenticationError, RayError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from eml_models.errors import InvalidValueError
from tune_jobs.errors import EXIT_FAILED, EXIT_INTERRUPTED, JobError
from tune_jobs.on_ray.cluster.authentication import HINT, TOKEN_PATH
from tune_jobs.on_ray.cluster.reaching import jobs_url
from tune_jobs.on_ray.jobs.upload import choose_files, describe, pack
from tune_jobs.on_ray.private import TOKEN_ADVICE, build_job_client, ray_of_cluster, time_of_grace
from tune_jobs.provenance import GIT_COMMIT, git_state

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
"""Where a head's dashboard listens if nobody said otherwise."""

GRACE_S = 30
"""Seconds that a job which we submit has to end in order when it is stopped; Ray's own default is 3."""

STUDY, STORE = "study", "store"
"""The keys of a job's metadata."""

CommandReader = Callable[[str], tuple[str | None, str | None]]
"""Tells the study and the store of a command that somebody typed; the study is None where it runs none."""

POLL_S = 0.5
CONNECT_S, ANSWER_S = 5.0, 120.0
"""Seconds after which a dashboard that takes no connection, or gives no answer, is taken for gone."""

SILENCE_S = 30.0
"""Seconds without a word of a job's log after which the dashboard is asked whether both are still there."""

OVERRIDES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Variables that Ray's job client follows even when it is given an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One study that a cluster ran, runs or will run.

    Attributes:
        id: under which it was submitted.
        state: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``STOPPED``.
        exit_code: of the command, if it ended by itself.
    """

    id: str
    study: str
    store: str | None
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    message: str | None

    @property
    def ended(self) -> bool:
        return JobStatus(self.state).is_terminal()

    @property
    def exit_status(self) -> int:
        """What a command that waited for the job exits with."""
        if self.state == JobStatus.STOPPED:
            return EXIT_INTERRUPTED
        if self.exit_code is not None:  # negative: the signal that ended it, as a shell tells it
            return self.exit_code if self.exit_code >= 0 else 128 - self.exit_code
        return 0 if self.state == JobStatus.SUCCEEDED else EXIT_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What is to be run as a job.

    Attributes:
        study: the study's name in the store.
        store: a lasting store, as the cluster's nodes see it.
        words: what follows ``python -m tune_jobs``.
        folder: the working folder that is uploaded.
        named: paths of data and stores, which are not, if they lie in it.
        follow: links in it that are followed although they lead out of it.
        needed: files in it that the command reads.
    """

    study: str
    store: str
    words: Sequence[str]
    folder: Path
    named: Sequence[str | None] = ()
    follow: Sequence[str] = ()
    needed: Sequence[str] = ()


class Jobs:
    """The jobs of the cluster at an address.

    Args:
        read_command: recognises jobs that were not submitted by us.

    Raises:
        JobError: nothing answers there, or the token is missing or wrong.
    """

    def __init__(self, address: str | None, read_command: CommandReader) -> None:
        self._read_command = read_command
        self.address = jobs_url(address or DEFAULT_ADDRESS)
        with _explained(self.address), _without(OVERRIDES):
            self._client: JobSubmissionClient = build_job_client(
                self.address, timeouts_s=(CONNECT_S, ANSWER_S)
            )

    def submit(self, submission: Submission, tell: Callable[[str], object]) -> Job:
        """Upload the working folder and start the job.

        Args:
            tell: is given line by line what is uploaded and what is left out, before anything is sent.

        Raises:
            InvalidValueError: the folder is too large, or what the job needs of it is left out.
            JobError: a job of this cluster runs the study already, or the cluster is of another Ray.
        """
        self._require_same_ray()
        self._require_free(submission)
        job_id = f"{submission.study}-{secrets.token_hex(3)}"
        with _packed(submission, tell) as archive:
            try:
                self._send(job_id, submission, archive)
                return self.get(job_id)
            except JobError as error:
                if isinstance(error.__cause__, OSError):
                    raise JobError(
                        f"{error} It may have started job {job_id!r} nevertheless: ask for its status once it"
                        " answers"
                    ) from error
                raise

    def _send(self, job_id: str, submission: Submission, archive: Path) -> None:
        with _explained(self.address):
            self._client.submit_job(
                entrypoint=shlex.join(["python", "-m", "tune_jobs", *submission.words]),
                submission_id=job_id,
                metadata={STUDY: submission.study, STORE: submission.store},
                runtime_env={
                    "working_dir": str(archive),
                    "env_vars": {
                        **time_of_grace(GRACE_S),
                        **_describe_commit(submission.folder),
                    },
                },
            )

    def list(self) -> list[Job]:
        """All jobs that run studies, the newest first."""
        with _explained(self.address):
            jobs = [job for details in self._client.list_jobs() if (job := self._as_job(details))]
        return sorted(jobs, key=lambda job: job.started_at or datetime.max.replace(tzinfo=UTC), reverse=True)

    def get(self, job_id: str) -> Job:
        """A job by its id."""
        with _explained(self.address):
            job = self._as_job(self._client.get_job_info(job_id))
        if job is None:
            raise JobError(f"job {job_id!r} at {self.address} runs no study")
        return job

    def named(self, name: str) -> Sequence[Job]:
        """The jobs of a study that are under way, else its newest one; or the job of that id.

        Raises:
            InvalidValueError: there is none; names those that there are.
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
        """What the job has written so far."""
        with _explained(self.address):
            return self._client.get_job_logs(job_id)

    def follow(self, job_id: str, write: Callable[[str], object]) -> Job:
        """Pass on what the job writes until it ends; the job as it ended."""

        async def pass_on() -> None:
            texts = self._client.tail_job_logs(job_id)
            while (text := await self._next(texts, job_id)) is not None:
                write(text)  # what this raises is not of the cluster

        asyncio.run(pass_on())
        return self.wait(job_id)

    async def _next(self, texts: AsyncIterator[str], job_id: str) -> str | None:
        """More of a log, None at its end; a connection that has died without a word is found out."""
        with _explained(self.address):
            coming = asyncio.ensure_future(anext(texts, None))
            while not (await asyncio.wait([coming], timeout=SILENCE_S))[0]:
                if (await asyncio.to_thread(self.get, job_id)).ended:
                    return None
            return coming.result()

    def stop(self, job_id: str) -> Job:
        """End a job: SIGTERM, and SIGKILL after its time of grace. Its finished trials are in the store."""
        with _explained(self.address):
            self._client.stop_job(job_id)
        return self.wait(job_id)

    def wait(self, job_id: str, seconds: float = GRACE_S + 15.0) -> Job:
        """The job once it has ended; as it is when the seconds are over."""
        deadline = time.monotonic() + seconds
        while not (job := self.get(job_id)).ended and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return job

    def _as_job(self, details: JobDetails) -> Job | None:
        """A job of ours; None for others."""
        metadata = details.metadata or {}
        study, store = metadata.get(STUDY), metadata.get(STORE)
        if study is None:
            study, store = self._read_command(details.entrypoint)
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
        )

    def _require_free(self, submission: Submission) -> None:
        """One study has one writer; better told here than by the job's log."""
        for job in self.list():
            same_store = job.store is None or job.store.rstrip("/") == submission.store.rstrip("/")
            if job.study == submission.study and same_store and not job.ended:
                raise JobError(
                    f"job {job.id!r} runs study {job.study!r} of store {submission.store!r} already"
                    f" ({job.state.lower()}{_since(job)}). Follow it with `logs {job.id} --follow`, end it"
                    f" with `stop {job.id}`, or submit under another name with --name"
                )

    def _require_same_ray(self) -> None:
        theirs, ours = ray_of_cluster(self._client), version("ray")
        if theirs is not None and theirs.split(".")[:2] != ours.split(".")[:2]:
            raise JobError(
                f"the cluster at {self.address} runs Ray {theirs}, and this is written for Ray {ours}: use"
                " the image of docker/, or install the versions of constraints.txt on its nodes"
            )


def _instant(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _since(job: Job) -> str:
    return f" since {job.started_at:%Y-%m-%d %H:%M:%S} UTC" if job.started_at else ""


@contextmanager
def _packed(submission: Submission, tell: Callable[[str], object]) -> Iterator[Path]:
    """The archive of the working folder, in a folder of this user alone, which goes when it has been sent."""
    with TemporaryDirectory(prefix="tune-jobs-upload-") as made:
        archive = Path(made) / "folder.zip"
        with _only_errors_logged():
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


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Turn what Ray's client raises into an error that says what to do."""
    try:
        with _only_errors_logged():
            yield
    except AuthenticationError as error:
        first = str(error).split(TOKEN_ADVICE)[0].replace("\n\n", ": ").rstrip(".:")
        raise JobError(f"the cluster at {address} refused us: {first}. {HINT}") from error
    except OSError as error:
        raise JobError(
            f"no Ray dashboard answers at {address}: {str(error).rstrip('.')}. Is the head up, and is its"
            " dashboard's port (8265) forwarded to this machine (ssh -L 8265:127.0.0.1:8265 HEAD)?"
        ) from error
    except (RuntimeError, ValueError, AssertionError, aiohttp.ClientError, RayError) as error:
        raise JobError(f"the cluster at {address} could not do that: {error}") from error
    except (KeyError, TypeError) as error:
        raise JobError(f"what answers at {address} is no dashboard of Ray: {error!r}") from error


@contextmanager
def _only_errors_logged() -> Iterator[None]:
    """Ray tells of each file that it packs or leaves out, by loggers whose own level is INFO."""
    handlers = [(handler, handler.level) for handler in logging.getLogger("ray").handlers]
    for handler, _ in handlers:
        handler.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)


@contextmanager
def _without(names: Sequence[str]) -> Iterator[None]:
    before: dict[str, Any] = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)
