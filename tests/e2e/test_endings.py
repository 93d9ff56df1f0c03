"""A run on a Ray of its own ends in seconds, in our words, and leaves no process.

It does so after a signal to its process group or to each of its processes, after the death of Ray, and after
a SIGKILL of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from patience import patience_s, wait_until
from ray_nodes import descendants, kill_tree

from tune_jobs import TrialStore

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

STUDY = """
import time
from types import SimpleNamespace

from eml_models import Recipe
from tune_jobs import Float, Space, Study


def fit(recipe, **options):
    for epoch in range(1, 5):
        time.sleep(0.2)
        yield SimpleNamespace(epoch=epoch, val_accuracy=recipe.learning_rate)


def study():
    space = Space(Float("learning_rate", 0.01, 0.1))
    recipe = Recipe(learning_rate=0.1, epochs=4)
    return Study(name="slow", space=space, recipe=recipe, trials=1000, asha=None, fit=fit)
"""
WORDS = [sys.executable, "-m", "tune_jobs", "run", "slow.py:study", "--device", "cpu", "--workers", "1"]
RAYS_WAIT_S = 60
"""Seconds for which Ray's processes wait for a control process that has died."""


def end_group(run: subprocess.Popen[str]) -> None:
    """As GNU ``timeout`` and batch systems do."""
    os.killpg(run.pid, signal.SIGTERM)


def end_every_process(run: subprocess.Popen[str]) -> None:
    """As a service manager does."""
    for pid in (run.pid, *descendants(run.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def kill_control_process(run: subprocess.Popen[str]) -> None:
    (pid,) = (pid for pid in descendants(run.pid) if name_of(pid) == "gcs_server")
    os.kill(pid, signal.SIGKILL)


def kill_driver(run: subprocess.Popen[str]) -> None:
    run.kill()


INTERRUPTED = "all finished trials are in the store. Continue with:\n"
LOST = "Ray on this machine"


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        (end_group, 130, INTERRUPTED),
        pytest.param(end_every_process, 130, INTERRUPTED, marks=pytest.mark.slow),
        (kill_control_process, 1, LOST),
        (kill_driver, -signal.SIGKILL, ""),
    ],
    ids=["group", "every_process", "control_process", "driver"],
)
def test_run_ends_with_its_words_and_leaves_nothing(
    end: Callable[[subprocess.Popen[str]], None], code: int, words: str, run: subprocess.Popen[str]
) -> None:
    processes = [run.pid, *descendants(run.pid)]
    began = time.monotonic()
    end(run)
    _, err = run.communicate(timeout=patience_s())
    assert run.returncode == code, err
    assert words in err
    assert "Failed to connect to GCS" not in err
    if words:
        assert f"Continue with:\n  {' '.join(WORDS)}" in err
    ended = {
        row.detail for row in TrialStore("trials").events().query("kind == 'session_ended'").itertuples()
    }
    assert len(ended) == (1 if words else 0)
    wait_until(lambda: not any(map(lives, processes)), "processes of the run live on", period_s=0.05)
    assert time.monotonic() - began < RAYS_WAIT_S / 2


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A run with an ended trial, in a process group of its own."""
    monkeypatch.chdir(tmp_path)
    Path("slow.py").write_text(STUDY)
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    process = subprocess.Popen(
        WORDS, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_until(lambda: has_ended_trial(process), "no trial ended")
        yield process
    finally:
        kill_tree(process)


def has_ended_trial(process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None, process.communicate()
    return any(Path("trials").glob("studies/*/*")) and len(TrialStore("trials").trials()) > 0


def name_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
