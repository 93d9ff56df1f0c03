"""Which code a run was started from: the commit of its folder. Called when a run begins and by replay."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tune_jobs.inside_job import GIT_COMMIT


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of the folder that the run was started in and whether tracked files differ; None without
    git.

    A job runs in a copy without history; `tune_jobs.inside_job` says how it is told its commit.
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
