"""Reads requests from stdin, one per line, in a process that must not outlive its caller.

A measurement may take minutes, and a process may wait for a busy card without end. If the caller is killed
meanwhile, stdin ends, and this process ends too. A caller therefore keeps stdin open until it has its last
answer.
Called by `eml_models.latency.bench.worker` and by the programs of `tune_jobs.on_ray.gpus`.
"""

from __future__ import annotations

import os
import signal
import threading
from queue import SimpleQueue

STDIN = 0
CHUNK = 1 << 16


class RequestLines:
    """The lines of stdin as they arrive. When stdin ends, this process is ended at once.

    If this process leads a process group, the other processes of the group are ended too.
    """

    def __init__(self) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=_read, args=(self._lines,), name="requests", daemon=True).start()

    def __iter__(self) -> RequestLines:
        return self

    def __next__(self) -> str:
        """The next line; waits for it."""
        return self._lines.get()

    def have_next(self) -> bool:
        """Whether a line has arrived that was not taken yet."""
        return not self._lines.empty()


def iter_requests() -> RequestLines:
    """Begins to read stdin, and yields its lines; to be called once in a process."""
    return RequestLines()


def _read(lines: SimpleQueue[str]) -> None:
    # read by the descriptor: when a process ends, Python waits for a thread that reads `sys.stdin`
    rest = b""
    while data := os.read(STDIN, CHUNK):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            lines.put(line.decode())
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
