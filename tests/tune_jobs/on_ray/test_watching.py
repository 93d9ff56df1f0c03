"""A process that is silent for too long ends itself; a message in time keeps it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator

import pytest
from patience import patience_s

from tune_jobs.on_ray.worker.watching import while_watched

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

HANGS = """
import threading
from tune_jobs.on_ray.worker.watching import while_watched

def messages():
    {body}

found = while_watched(messages(), 0.2)
next(found)
found.close()
print("never reached")
"""
SILENT = "lock = threading.Lock(); lock.acquire(); lock.acquire(); yield 1"
CLOSED_SLOWLY = """try:
        yield 1
    finally:
        threading.Event().wait()"""


@pytest.mark.parametrize("body", [SILENT, CLOSED_SLOWLY])
def test_process_that_waits_for_ever_ends_and_says_where(body: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS.format(body=body)], capture_output=True, text=True, timeout=patience_s()
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "in messages" in done.stderr


@pytest.mark.parametrize("limit_s", [None, 600.0])
def test_messages_in_time_arrive_and_are_closed(limit_s: float | None) -> None:
    closed = []

    def messages() -> Generator[int]:
        try:
            yield from (1, 2)
        finally:
            closed.append(True)

    assert list(while_watched(messages(), limit_s)) == [1, 2]
    found = while_watched(messages(), limit_s)
    assert next(found) == 1
    found.close()
    assert closed == [True, True]
