"""A small process that ends a local Ray's processes as soon as their driver is gone, however it ended.

By itself, Ray lets the workers and agents of a killed driver live on for a minute, with their memory and
ports. Each process that the driver starts for Ray leads a session of its own. The watcher gets the ids of
these leaders through a pipe. The pipe closes when the driver ends, and then the watcher kills all that is
left in these sessions. If a leader dies earlier, the watcher kills the rest of its session at once, because
its id may soon belong to another program.

Needs Linux (``/proc`` and descriptors of processes). `tune_jobs.on_ray.cluster.local_ray` starts a watcher.
This file is also the watcher's program, so it imports the standard library alone.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ENDING_S = 10.0
"""Seconds of attempts to end a session: a process in a call of the kernel ends when the call returns."""

LINUX = sys.platform == "linux" and hasattr(os, "pidfd_open")


class Watcher:
    """The driver's side of the watcher."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # signals to the driver's group are not for the watcher
            cwd="/",
            bufsize=0,
        )

    def watch(self, leader: int) -> None:
        """Let the watcher end this session with the driver."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the watcher was killed; Ray's own means remain
            self._process.stdin.write(f"{leader}\n".encode())

    def end(self) -> None:
        """End the sessions now; returns when they have ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Watch until the pipe on stdin closes, then end all sessions."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a service manager signals every process of the unit
    leaders: dict[int, int] = {}  # by the descriptor of the process
    poll = select.poll()
    poll.register(0, select.POLLIN)
    text = b""
    while True:
        for descriptor, _ in poll.poll():
            if descriptor:
                poll.unregister(descriptor)
                os.close(descriptor)
                end_session(leaders.pop(descriptor))
                continue
            if not (got := os.read(0, 4096)):
                for leader in leaders.values():
                    end_session(leader)
                return
            *lines, text = (text + got).split(b"\n")
            for leader in map(int, lines):
                try:
                    descriptor = os.pidfd_open(leader)
                except ProcessLookupError:
                    end_session(leader)
                    continue
                leaders[descriptor] = leader
                poll.register(descriptor, select.POLLIN)


def end_session(leader: int) -> None:
    """Kill all processes of a session, and those that they start meanwhile."""
    give_up_at = time.monotonic() + ENDING_S
    while (found := _members(leader)) and time.monotonic() < give_up_at:
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _members(leader: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):  # it has ended
            state, _, _, session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(session) == leader and state not in "ZX":
                found.append(int(folder.name))
    return found


if __name__ == "__main__":
    main()
