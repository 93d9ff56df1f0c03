"""Compares the version that submitted a job with the version that runs it: a cluster's image may be another.

The client cannot ask the cluster, so the job compares, before it reads its own words: another version may not
know all of them. Imports no Ray.
"""

from __future__ import annotations

import os
from pathlib import Path

import tune_jobs
from tune_jobs.errors import JobError

UNKNOWN = "0+"
"""The beginning of the version of code that is not installed."""

SUBMITTED_BY = "TUNE_JOBS_SUBMITTED_BY"
"""The variable in which `submit` gives a job the version of the client."""


def version_variables() -> dict[str, str]:
    """The variables by which a job knows who submitted it; none where the client's code has no version."""
    ours = tune_jobs.__version__
    return {} if ours.startswith(UNKNOWN) else {SUBMITTED_BY: ours}


def require_same_version() -> None:
    """Refuse to run in a job of another version, that is, of another first or second number.

    Code that was uploaded with the job is the client's own, whatever the cluster has installed.

    Raises:
        JobError: the versions differ; names both.
    """
    theirs, ours = os.environ.get(SUBMITTED_BY), tune_jobs.__version__
    if theirs is None or ours.startswith(UNKNOWN) or _is_uploaded():
        return
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        raise JobError(
            f"tune-jobs {theirs} submitted this job, and the cluster runs tune-jobs {ours}: use the image of"
            f" {theirs} on its nodes, or submit with {ours}"
        )


def _is_uploaded() -> bool:
    """Whether this code lies in the job's folder, where a job starts."""
    return Path(tune_jobs.__file__).resolve().is_relative_to(Path.cwd().resolve())
