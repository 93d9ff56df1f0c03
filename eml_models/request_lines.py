"""Requests, line by line on stdin, for a process that must not outlive its caller.

A measurement may take minutes, and a process that waits for a busy card may wait for ever. Its caller may be
killed meanwhile without a word; then stdin ends. So a caller keeps stdin open until it has its last answer.
Called by `eml_models.latency.bench.worker` and `tune_jobs.on_ray.gpus.step_program`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from queue import SimpleQueue

STDIN = 0
CHUNK = 1 << 16


def iter_requests() -> Iterator[str]:
    """The lines of stdin as they come; where stdin ends, this process ends at once, whatever it is doing.

    So do the processes that it has started, if it leads a process group.
    """
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), name="requests", daemon=True).start()
    while True:
        yield lines.get()


def _read(lines: SimpleQueue[str]) -> None:
    # by the descriptor: at its end Python waits for the thread that reads `sys.stdin`
    rest = b""
    while data := os.read(STDIN, CHUNK):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            lines.put(line.decode())
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
