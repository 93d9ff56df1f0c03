"""Where a run comes from: the commit of its folder, and the Ray job that its process belongs to, if any.

Reads git and the variables of Ray's job supervisor. Imports no Ray.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""The variable in which Ray tells a job's driver its metadata."""

GIT_COMMIT = "TUNE_JOBS_GIT_COMMIT"
"""The variable in which `submit` tells a job the commit of the folder that was uploaded; it ends with ``+``
if tracked files differ. An uploaded folder has no history of its own."""


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of the folder that the run was started in and whether tracked files differ; None without
    git.

    A job runs in a copy without history; `GIT_COMMIT` holds its commit.
    """
    if told := os.environ.get(GIT_COMMIT):
        return told.rstrip("+"), told.endswith("+")
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, timeout=10, check=True
        )
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=folder,
            capture_output=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None, None
    return commit.stdout.decode().strip(), bool(status.stdout.strip())


def job_id() -> str | None:
    """The id under which this process was submitted; None outside of a job."""
    try:
        metadata = json.loads(os.environ[JOB_CONFIG])["metadata"]
        return str(metadata["job_submission_id"])
    except (KeyError, TypeError, ValueError):
        return None
