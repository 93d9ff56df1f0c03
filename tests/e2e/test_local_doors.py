"""What another user of the machine, and another machine, reach of a local run: nothing of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_cluster import TUNE_JOBS
from open_doors import files_to_write, is_private, listeners
from patience import patience_s, wait_until
from ray_nodes import descendants, epochs_in_training, kill_tree

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
NOBODY = 65534
REWRITES_S = 10.0
"""How often Ray's raylet writes its state to a file."""


class LocalRun:
    """A study that trains until it gets a signal to end, and what belongs to it."""

    def __init__(self, folder: Path) -> None:
        home = folder / "home"
        home.mkdir()
        words = ["run", "digits-recipes", "--store", str(folder / "store"), "--workers", "1"]
        words += ["--trials", "500", "--no-asha", "--epochs", "50", "--device", "cpu"]
        self._words = [*TUNE_JOBS, *words]
        self.environment = {**os.environ, "HOME": str(home), "RAY_AUTH_MODE": "token"}
        self.environment.pop("RAY_ADDRESS", None)
        self._folder = folder

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._words,
            cwd=self._folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        wait_until(lambda: any(epochs_in_training(self._folder / "store").values()), "it does not train")

    def pids(self) -> list[int]:
        return [self.process.pid, *descendants(self.process.pid)]

    def ray_folder(self) -> Path:
        """Where Ray writes, by the words that its processes were started with."""
        for pid in self.pids():
            found = re.search(rb"--temp-dir=([^\0]+)", Path(f"/proc/{pid}/cmdline").read_bytes())
            if found:
                return Path(os.fsdecode(found[1]))
        raise AssertionError("no process of Ray")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    made = LocalRun(tmp_path_factory.mktemp("doors"))
    try:
        made.start()
        yield made
    finally:
        kill_tree(made.process)
        assert made.process.stdout is not None
        made.process.stdout.close()


def test_all_that_it_writes_lies_where_others_cannot_go(run: LocalRun) -> None:
    folder = run.ray_folder()
    assert (folder / "session_latest" / "logs").is_dir()
    assert is_private(folder)
    written = files_to_write(run.pids())
    assert any(folder in path.parents for path in written)
    assert [path for path in written if not is_private(path)] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes a second user, as root may")
def test_second_user_replaces_no_file_of_it(run: LocalRun, tmp_path: Path) -> None:
    """By a link in the place of a file that Ray writes again and again, any file could be overwritten."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o600)
    file = run.ray_folder() / "session_latest" / "logs" / "debug_state.txt"
    wait_until(file.exists, "Ray writes no state")
    for words in (["ls", str(file.parent)], ["ln", "-sf", str(victim), str(file)]):
        done = subprocess.run(
            words, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, check=False
        )
        assert done.returncode != 0
        assert b"Permission denied" in done.stderr
    written_at = file.stat().st_mtime
    wait_until(lambda: file.stat().st_mtime > written_at, "Ray does not write its state again")
    assert victim.read_text() == "mine"


def test_it_listens_on_loopback_alone(run: LocalRun) -> None:
    time.sleep(REWRITES_S)  # the metrics are the last to come
    found = listeners(run.pids())
    assert len({listener.pid for listener in found}) >= 4  # Ray's own processes and ours
    assert {listener for listener in found if not listener.on_loopback} == set()


def test_its_folder_goes_with_it(run: LocalRun) -> None:
    folder = run.ray_folder().parent
    assert folder.name.startswith(f"tune-jobs-{run.process.pid}-")
    os.kill(run.process.pid, signal.SIGINT)
    said, _ = run.process.communicate(timeout=patience_s())
    assert run.process.returncode == 130, said
    assert not folder.exists()
    assert list(folder.parent.glob(f"tune-jobs-{run.process.pid}-*")) == []
    assert "kept" not in said


@pytest.fixture
def others_too() -> Iterator[Path]:
    """A folder for temporary files that others may enter too, as they may the usual one."""
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # Ray's sockets need a short path
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


BROKEN = """
from tune_jobs import Float, Maximize, Space, Study


def train(params, run):
    raise ValueError("no such mask")


space = Space(Float("lr", 0.1, 1.0))
study = Study(name="broken", space=space, train=train, epochs=1, objectives=Maximize("iou"))
"""


def test_logs_are_kept_and_named_where_a_run_fails(tmp_path: Path, others_too: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    words = ["run", "broken.py:study", "--store", str(tmp_path / "store"), "--workers", "1"]
    environment = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(others_too)}
    for name in ("RAY_ADDRESS", "RAY_TMPDIR"):
        environment.pop(name, None)
    done = subprocess.run(
        [*TUNE_JOBS, *words, "--max-failed-in-a-row", "1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=patience_s(),
    )
    assert done.returncode == 1, done.stderr
    (named,) = re.findall(r"kept for a week: (\S+)", done.stderr)
    assert list(Path(named).glob("raylet*"))
    assert is_private(Path(named))
    assert len(list(others_too.iterdir())) == 1
