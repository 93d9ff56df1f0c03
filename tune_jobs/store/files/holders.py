"""The holder of a lock: as data for the lock's file, and in words. Called by every module that locks."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import datetime

from tune_jobs.store.provenance import job_id
from tune_jobs.study.instants import utc_now


def this_holder(now: datetime | None = None) -> dict[str, object]:
    """This process as data for a lock: host, process id, job and instant.

    Args:
        now: the instant at which it takes the lock; None for the current one.
    """
    since = (now or utc_now()).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "pid": os.getpid(), "job": job_id(), "since": since}


def describe_holder(holder: Mapping[str, object]) -> str:
    """The holder of a lock in words; "another process" if the lock's file lacks a field."""
    if not {"pid", "host", "since"} <= holder.keys():
        return "another process"
    job = f" (job {holder['job']})" if holder.get("job") else ""
    return f"process {holder['pid']} on {holder['host']}{job} since {holder['since']}"
