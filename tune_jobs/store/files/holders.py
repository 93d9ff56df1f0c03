"""The holder of a lock: as data for the lock's file, in words, and whether it lives.

Called by every module that locks, and by `reader`, which only looks.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tune_jobs.store.files.processes import describe_process, lives
from tune_jobs.store.provenance import job_id
from tune_jobs.study.instants import utc_now

RUN, UPKEEP = "run", "upkeep"
"""What a holder does: it runs the study, or it compacts, repairs or deletes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A lock that was taken and not released.

    Attributes:
        holder: the process that took it, as the lock's file names it.
        lives: whether that process still lives; None if this machine cannot tell.
    """

    holder: Mapping[str, object]
    lives: bool | None

    @classmethod
    def of(cls, holder: Mapping[str, object]) -> Hold:
        """The hold of this holder, which may be a process of this machine."""
        return cls(holder=holder, lives=lives(holder))

    @property
    def is_run(self) -> bool:
        """Whether the holder runs the study, and does not only tidy it."""
        return self.holder.get("doing") == RUN

    def describe(self) -> str:
        """The holder in words."""
        return describe_holder(self.holder)


def this_holder(doing: str, now: datetime | None = None) -> dict[str, object]:
    """This process as data for a lock: host, process id, job, instant, and by what others see that it lives.

    Args:
        doing: `RUN` or `UPKEEP`.
        now: the instant at which it takes the lock; None for the current one.
    """
    since = (now or utc_now()).isoformat(timespec="seconds")
    named = {"host": socket.gethostname(), "pid": os.getpid(), "job": job_id(), "since": since}
    return {**named, "doing": doing, **describe_process()}


def describe_holder(holder: Mapping[str, object]) -> str:
    """The holder of a lock in words; "another process" if the lock's file lacks a field."""
    if not {"pid", "host", "since"} <= holder.keys():
        return "another process"
    job = f" (job {holder['job']})" if holder.get("job") else ""
    return f"process {holder['pid']} on {holder['host']}{job} since {holder['since']}"
