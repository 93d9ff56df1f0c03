"""Origin of a run: the commit of its folder, and the Ray job of its process, if there is one.

Reads git and the variables that Ray's job supervisor sets. Imports no Ray. Called where a run starts.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""The variable through which Ray gives its metadata to the driver of a job."""

GIT_COMMIT = "TUNE_JOBS_GIT_COMMIT"
"""The variable in which `submit` gives a job the commit of the uploaded folder, with ``+`` behind it if
tracked files differ. An uploaded folder has no history of its own."""


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of a folder, and whether tracked files differ from it; None for both without git.

    A job runs in a copy without history, so the value of `GIT_COMMIT` goes first.
    """
    if recorded := os.environ.get(GIT_COMMIT):
        return recorded.rstrip("+"), recorded.endswith("+")
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
    """The id of the Ray job that this process belongs to; None outside of a job."""
    try:
        metadata = json.loads(os.environ[JOB_CONFIG])["metadata"]
        return str(metadata["job_submission_id"])
    except (KeyError, TypeError, ValueError):
        return None
