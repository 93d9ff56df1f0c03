"""Whether a process that left its name in a file still lives, as far as this machine can tell.

Reads ``/proc`` where there is one. Called by `holders` and `lease`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def describe_process() -> dict[str, object]:
    """This process and its machine, by which other processes can check later whether it lives."""
    return {"machine": _machine(), "pid": os.getpid(), "process_started": _started(os.getpid())}


def is_here(holder: Mapping[str, object]) -> bool:
    """Whether a holder is a living process of this machine."""
    return holder.get("machine") == _machine() and not is_gone(holder)


def is_gone(holder: Mapping[str, object]) -> bool:
    """Whether a holder was a process of this machine and has ended; False if that cannot be known."""
    if holder.get("machine") != _machine():
        return False
    pid = holder.get("pid")
    return not isinstance(pid, int) or _started(pid) != holder.get("process_started")


def lives(holder: Mapping[str, object]) -> bool | None:
    """Whether a holder lives; None if this machine cannot tell.

    A process counts as dead if its host has started again since, and hosts are known by their names. So this
    serves only to tell people: no lock is taken because of it.
    """
    if is_here(holder):
        return True
    theirs, ours = (str(machine).split("|") for machine in (holder.get("machine"), _machine()))
    is_rebooted = len(theirs) == len(ours) == 3 and theirs[0] == ours[0] and theirs[1] != ours[1]
    return False if is_gone(holder) or is_rebooted else None


def _machine() -> str:
    """This machine, its latest boot, and its table of processes (a container has its own)."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts += [boot.read_text().strip(), os.readlink(processes)]
    return "|".join(parts)


def _started(pid: int) -> str | None:
    """The instant at which a process started, in the kernel's own count; None if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except OSError:
            return "alive"
        return "alive"
    return None if fields[0] in "ZX" else fields[19]
