"""What a driver started for its Ray ends with it, however it ends. Starts no Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import wait_until

from tune_jobs.on_ray.cluster import watcher
from tune_jobs.on_ray.cluster.watcher import LINUX, Watcher

pytestmark = pytest.mark.skipif(not LINUX, reason="reads /proc")

DEAF = "trap '' TERM HUP INT; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & echo $$; wait"
"""A session leader and its child, which say their numbers and obey no signal but SIGKILL."""


def start_session() -> tuple[subprocess.Popen[str], list[int]]:
    leader = subprocess.Popen(["sh", "-c", DEAF], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert leader.stdout is not None
    return leader, [int(leader.stdout.readline()) for _ in range(2)]


def living(pids: list[int]) -> list[int]:
    """Those of the processes that live; a zombie does not."""

    def lives(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    return [pid for pid in pids if lives(pid)]


def test_end_of_the_watcher_ends_the_sessions_and_their_children() -> None:
    (leader, pids), (other, others) = start_session(), start_session()
    made = Watcher()
    made.watch(leader.pid)
    made.end()
    assert living(pids) == []
    assert living(others) == others
    watcher.end_session(other.pid)
    assert living(others) == []
    for process in (leader, other):
        process.communicate()


def test_session_ends_with_its_leader_while_the_driver_lives() -> None:
    leader, pids = start_session()
    made = Watcher()
    made.watch(leader.pid)
    leader.kill()
    leader.wait()
    wait_until(lambda: not living(pids), "the rest of the session lives on")
    made.end()
    leader.communicate()


def ignores_sigterm(pid: int) -> bool:
    mask = Path(f"/proc/{pid}/status").read_text().partition("SigIgn:\t")[2].split()[0]
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


DRIVER = """
import subprocess, sys, time
from tune_jobs.on_ray.cluster.watcher import Watcher

made = Watcher()
leader = subprocess.Popen(["sh", "-c", sys.argv[1]], start_new_session=True)
made.watch(leader.pid)
print("watcher", made._process.pid, flush=True)
time.sleep(1000)
"""


def kill(driver: subprocess.Popen[str], watching: int) -> None:
    driver.kill()


def end_group(driver: subprocess.Popen[str], watching: int) -> None:
    os.killpg(driver.pid, signal.SIGTERM)


def end_every_process(driver: subprocess.Popen[str], watching: int) -> None:
    """As a service manager does; the watcher is deaf to it."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(watching, number)
    driver.terminate()


@pytest.mark.parametrize("end", [kill, end_group, end_every_process])
def test_sessions_end_with_their_driver(end: Callable[[subprocess.Popen[str], int], None]) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, DEAF], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert driver.stdout is not None
    try:
        lines = [driver.stdout.readline().split() for _ in range(3)]  # the watcher's, the session's two
        numbers = [int(words[-1]) for words in lines]
        (watching,) = (int(number) for word, *rest in lines for number in rest if word == "watcher")
        wait_until(lambda: ignores_sigterm(watching), "the watcher did not come up")
        end(driver, watching)
        wait_until(lambda: not living(numbers), "processes of the driver live on")
    finally:
        driver.kill()
        driver.communicate()
