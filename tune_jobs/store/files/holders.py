"""Who holds a lock of a store, as its file says, and in words. Called by all that lock a study."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import datetime

from tune_jobs.provenance import job_id
from tune_jobs.study.instants import utc_now


def this_holder(now: datetime | None = None) -> dict[str, object]:
    """This process, as it stands in the locks that it takes.

    Args:
        now: since when; None for this instant.
    """
    since = (now or utc_now()).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "pid": os.getpid(), "job": job_id(), "since": since}


def describe_holder(holder: Mapping[str, object]) -> str:
    """Who holds a lock, in words; another process where its file does not say."""
    if not {"pid", "host", "since"} <= holder.keys():
        return "another process"
    job = f" (job {holder['job']})" if holder.get("job") else ""
    return f"process {holder['pid']} on {holder['host']}{job} since {holder['since']}"
