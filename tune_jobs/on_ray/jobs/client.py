"""Ray's client of jobs, guarded: time limits, no stray logs, and errors that say what to do.

Everything goes over the dashboard's address; nothing here connects to the cluster as a driver does. Ray reads
the mode of its tokens when it is imported, so the caller has shown the token before it imports this
(`tune_jobs.on_ray.cluster.authentication`). Knows no study: `tune_jobs.on_ray.jobs.submit` calls it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from ray.exceptions import AuthenticationError, RayError
from ray.job_submission import JobDetails, JobSubmissionClient

from tune_jobs.errors import JobError
from tune_jobs.on_ray.cluster.authentication import HINT
from tune_jobs.on_ray.private import TOKEN_ADVICE, build_job_client, ray_of_cluster

CONNECT_S, ANSWER_S = 5.0, 120.0
"""Seconds to wait for a connection, and for an answer, before the dashboard counts as gone."""

SILENCE_S = 30.0
"""Seconds without a word of a job's log after which the dashboard is asked whether both are still there."""

OVERRIDES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Variables that Ray's job client follows even when it is given an address."""


class JobClient:
    """The dashboard at a URL.

    Raises:
        JobError: (here and in every method) nothing answers there, the token is missing or wrong, or the
            dashboard refuses the request.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        with explained(address), _without(OVERRIDES):
            self._client: JobSubmissionClient = build_job_client(address, timeouts_s=(CONNECT_S, ANSWER_S))

    @property
    def ray_version(self) -> str | None:
        """The cluster's version of Ray; None if it named none."""
        return ray_of_cluster(self._client)

    def submit(
        self,
        job_id: str,
        command: str,
        *,
        metadata: Mapping[str, str],
        archive: Path,
        variables: Mapping[str, str],
    ) -> None:
        """Upload an archive as the job's working folder, and start the command there."""
        with explained(self.address):
            self._client.submit_job(
                entrypoint=command,
                submission_id=job_id,
                metadata=dict(metadata),
                runtime_env={"working_dir": str(archive), "env_vars": dict(variables)},
            )

    def list(self) -> list[JobDetails]:
        """All jobs of the cluster."""
        with explained(self.address):
            return self._client.list_jobs()

    def get(self, job_id: str) -> JobDetails:
        """A job by its id."""
        with explained(self.address):
            return self._client.get_job_info(job_id)

    def logs(self, job_id: str) -> str:
        """The job's log so far."""
        with explained(self.address):
            return self._client.get_job_logs(job_id)

    def stop(self, job_id: str) -> None:
        """Ask for the end of a job; does not wait for it."""
        with explained(self.address):
            self._client.stop_job(job_id)

    def follow(self, job_id: str, write: Callable[[str], object]) -> None:
        """Pass on the job's log until the job ends. An error of `write` passes through as it is."""

        async def pass_on() -> None:
            texts = self._client.tail_job_logs(job_id)
            while (text := await self._next(texts, job_id)) is not None:
                write(text)  # outside `explained`: its errors are not the cluster's

        asyncio.run(pass_on())

    async def _next(self, texts: AsyncIterator[str], job_id: str) -> str | None:
        """More of a log, None at its end. After `SILENCE_S` it asks whether the job has ended.

        Otherwise a connection that was cut without a word would be waited for without end.
        """
        with explained(self.address):
            coming = asyncio.ensure_future(anext(texts, None))
            while not (await asyncio.wait([coming], timeout=SILENCE_S))[0]:
                if (await asyncio.to_thread(self.get, job_id)).status.is_terminal():
                    return None
            return coming.result()


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Turn an error of Ray's client into an error that says what to do."""
    try:
        with only_errors_logged():
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
def only_errors_logged() -> Iterator[None]:
    """Keep Ray's notes on each file from stderr; their loggers have the level INFO."""
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
