"""A job as its cluster describes it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_job_that_a_signal_ended_exits_as_a_shell_tells_it() -> None:
    from tune_jobs.on_ray.jobs.job import Job

    values = {"store": None, "started_at": None, "ended_at": None, "message": None}
    job = Job(id="one-1", study="one", state="FAILED", exit_code=-9, **values)
    assert job.exit_status == 137


@pytest.mark.parametrize(
    ("metadata", "typed", "found"),
    [
        ({"study": "one", "store": "/s"}, (None, None), ("one", "/s")),
        (None, ("two", None), ("two", None)),
        ({}, (None, None), None),
    ],
)
def test_study_of_a_job_is_in_its_metadata_else_in_its_command(
    metadata: dict[str, str] | None,
    typed: tuple[str | None, str | None],
    found: tuple[str, str | None] | None,
) -> None:
    from ray.job_submission import JobDetails, JobStatus, JobType

    from tune_jobs.on_ray.jobs.job import job_of

    details = JobDetails(
        type=JobType.SUBMISSION,
        submission_id="one-1",
        status=JobStatus.RUNNING,
        entrypoint="python",
        start_time=1500,
        metadata=metadata,
    )
    job = job_of(details, lambda command: typed)
    assert (job and (job.study, job.store)) == found
    if job is not None:
        assert job.started_at == datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)
        assert not job.ended


def test_metadata_of_a_submission_is_read_again_from_its_job() -> None:
    from tune_jobs.on_ray.jobs.job import STORE, STUDY, Submission

    submission = Submission(study="one", store="/s", words=(), folder=Path())
    assert submission.metadata == {STUDY: "one", STORE: "/s"}
