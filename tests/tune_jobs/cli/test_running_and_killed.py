"""`list` and `show` tell a study that runs from one whose run was killed, and disturb neither."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_testing import Cli
from session_testing import a_study

from tune_jobs.errors import StoreLockedError
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import EventKind
from tune_jobs.testing.rows import event_row

RUN = """
import sys
from session_testing import a_study
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter

with StudyWriter.open(sys.argv[1], a_study(), versions={}) as writer:
    Session(a_study(), writer, writer.rows)
    print("began", flush=True)
    sys.stdin.read()
"""


@contextmanager
def running(store: str) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own, until the block ends."""
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, "-c", RUN, store],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "began\n"
            yield process
        finally:
            process.kill()


def listed(cli: Cli, store: str) -> tuple[str, str | None]:
    code, out, err = cli("list", "--store", store, "--format", "json")
    assert code == 0, err
    (row,) = json.loads(out)
    return row["last_run"], row["held_by"]


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "trials")
    url: str = request.getfixturevalue("s3_store")
    return url


def test_list_and_show_know_the_living_from_the_dead(cli: Cli, store: str) -> None:
    with running(store) as process:
        word, held_by = listed(cli, store)
        assert word == "running"
        assert f"process {process.pid} on " in (held_by or "")
        _, out, err = cli("list", "--store", store)
        assert " running" in out
        assert "held_by" not in out
        assert f"note: played is running: process {process.pid} on " in err
        _, _, err = cli("show", "played", "--store", store)
        assert f"note: played is running: process {process.pid} on " in err
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert listed(cli, store) == ("killed", None)
    for verb in (["list"], ["show", "played"]):
        _, _, err = cli(*verb, "--store", store)
        assert "note: the last run of played was killed; the same command continues it" in err
    with StudyWriter.open(store, a_study(), versions={}) as writer:
        assert len(writer.rows) == 1  # the lock of the killed run is free for the next


def test_looking_never_takes_the_lock(cli: Cli, store: str) -> None:
    with StudyWriter.open(store, a_study(), versions={}) as writer:
        assert listed(cli, store)[0] == "running"
        with pytest.raises(StoreLockedError, match=f"process {os.getpid()} on "):
            StudyWriter.open(store, a_study(), versions={})
        writer.append(event_row(EventKind.ATTEMPT_INTERRUPTED, study="played"))
    assert listed(cli, store) == ("none yet", None)
