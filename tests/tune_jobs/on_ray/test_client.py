"""Ray's client of jobs: its time limits, and its errors in words."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from job_dashboard import Dashboard

from tune_jobs.cli.job_verbs import read_command
from tune_jobs.errors import JobError

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("answer", "message"), [({}, "is no dashboard of Ray"), ({"ray_version": "soon"}, "Invalid version")]
)
def test_server_that_is_no_dashboard_is_named_as_such(
    answer: dict[str, object], message: str, answering_server: Callable[..., str]
) -> None:
    from tune_jobs.on_ray.jobs.submit import Jobs

    with pytest.raises(JobError, match=message):
        Jobs(answering_server(200, answer), read_command)
    with pytest.raises(JobError, match="does not have `get_job_submission_client_cluster_info`"):
        Jobs("json://head:8265", read_command)


def test_dashboard_that_takes_no_word_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from tune_jobs.on_ray.jobs import client
    from tune_jobs.on_ray.jobs.submit import Jobs

    monkeypatch.setattr(client, "ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(JobError, match=f"no Ray dashboard answers at {url}: .*timed out"):
            Jobs(url, read_command)


def test_a_line_that_breaks_is_a_missing_dashboard() -> None:
    from tune_jobs.on_ray.jobs.client import explained

    with (
        pytest.raises(JobError, match=r"no Ray dashboard answers at .*: refused\. Is"),
        explained("http://127.0.0.1:8265"),
    ):
        raise ConnectionError("refused.")


def test_log_that_falls_silent_ends_with_its_job(
    dashboard: Dashboard, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over a connection that was cut without a word."""
    from tune_jobs.on_ray.jobs import client

    async def tail(self: object, job: str) -> AsyncIterator[str]:
        yield "a line\n"
        dashboard.jobs[0]["status"] = "SUCCEEDED"
        await asyncio.Event().wait()

    monkeypatch.setattr(client, "SILENCE_S", 0.01)
    monkeypatch.setattr(client.JobSubmissionClient, "tail_job_logs", tail)
    dashboard.add("one-1", "one", "/a")
    assert call("logs", "one", "--follow")[:2] == (0, "a line\n")


def test_reader_of_a_log_who_goes_is_no_missing_dashboard(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tune_jobs.cli.job_verbs import read_command
    from tune_jobs.on_ray.jobs import client
    from tune_jobs.on_ray.jobs.submit import Jobs

    async def tail(self: object, job: str) -> AsyncIterator[str]:
        yield "a line\n"

    def write(text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(client.JobSubmissionClient, "tail_job_logs", tail)
    dashboard.add("one-1", "one", "/a")
    with pytest.raises(BrokenPipeError):
        Jobs(dashboard.address, read_command).follow("one-1", write)
