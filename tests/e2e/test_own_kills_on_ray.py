"""Own training on Ray whose workers and driver are killed with -9 at random moments, and run again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import killed_study
import pytest
from patience import patience_s, wait_until
from ray_nodes import kill_tree

from tune_jobs import TrialStore
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.rows import ReportRow, StartRow
from tune_jobs.worker.own_attempt import OwnAttempt

pytestmark = [pytest.mark.ray, pytest.mark.slow]  # half a minute; test_own_kills.py plays the same kills

STUDY = f"{killed_study.__file__}:study"
MAX_KILLS = 2
"""Kills of one trial; the third would fail it."""


class Processes:
    """The workers of a run, as their files describe them."""

    def __init__(self, said: Path, seed: int) -> None:
        self.said, self.random = said, random.Random(seed)
        self.killed: Counter[int] = Counter()

    @property
    def interrupted(self) -> list[str]:
        """The dead workers that a kill found between a save and the acknowledgement of its report."""
        last = {path.stem: path.read_text().splitlines()[-1] for path in self.said.iterdir()}
        return [name for name, line in last.items() if line.startswith("reports") and not _lives(name)]

    def num_lines(self) -> int:
        return sum(len(path.read_text().splitlines()) for path in self.said.iterdir())

    def wait_for_a_moment(self, run: subprocess.Popen[str]) -> None:
        """Come back some lines and some milliseconds later."""
        wanted = self.num_lines() + self.random.randint(5, 9)
        wait_until(lambda: self.num_lines() >= wanted or run.poll() is not None, "no progress", period_s=0.01)
        assert run.poll() is None, run.communicate()
        time.sleep(self.random.uniform(0, 0.05))

    def kill_worker(self) -> None:
        """Kill a worker in the midst of a trial."""
        path = wait_until(self._find, "no worker is in the midst of a trial", period_s=0.001)
        number, pid = map(int, path.stem.split("-"))
        os.kill(pid, signal.SIGKILL)
        self.killed[number] += 1

    def _find(self) -> Path | None:
        found = [
            path
            for path in sorted(self.said.iterdir())
            if self.killed[int(path.stem.split("-")[0])] < MAX_KILLS
            and (lines := path.read_text().splitlines())
            and lines[-1] != "ends"
            and _lives(path.stem)
        ]
        return self.random.choice(found) if found else None


def _lives(name: str) -> bool:
    return Path(f"/proc/{name.partition('-')[2]}").exists()


def begin(folder: Path) -> subprocess.Popen[str]:
    words = ["run", STUDY, "--workers", "2", "--store", "trials", "--data-dir", str(folder / "said")]
    return subprocess.Popen(
        [sys.executable, "-m", "tune_jobs", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_killed_own_training_continues_behind_its_last_acknowledged_reports(tmp_path: Path) -> None:
    (tmp_path / "said").mkdir()
    processes = Processes(tmp_path / "said", seed=1)
    first = begin(tmp_path)
    try:
        processes.wait_for_a_moment(first)
        processes.kill_worker()
        processes.wait_for_a_moment(first)
    finally:
        first.kill()
        first.communicate()
    second = begin(tmp_path)
    try:
        kills = 0
        while kills < 2 or not processes.interrupted:
            processes.wait_for_a_moment(second)
            processes.kill_worker()
            kills += 1
        _, err = second.communicate(timeout=patience_s())
    finally:
        kill_tree(second)
    assert second.returncode == 0, err
    loads = [path.read_text().splitlines()[0] for path in processes.said.iterdir()]
    assert any(line != "loads 0" for line in loads)

    words = [sys.executable, "-m", "tune_jobs", "show", STUDY, "--audit", "--store", "trials"]
    shown = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "0 differ" in shown.stdout
    check_values(tmp_path / "trials")


def check_values(store: Path) -> None:
    """The first acknowledged report of each epoch has the value of an undisturbed training."""
    rows = list(TrialStore(store).rows("killed"))
    recipes = {row.number: OwnRecipe.from_json(row.recipe) for row in rows if isinstance(row, StartRow)}
    seen: dict[tuple[int, int], float | None] = {}
    for row in rows:
        if isinstance(row, ReportRow):
            seen.setdefault((row.number, row.epoch), row.value("iou"))
    whole = {
        (number, report.epoch): report.metrics["iou"]
        for number, recipe in recipes.items()
        for report in OwnAttempt(
            killed_study.train, recipe, number=number, data_dir=str(store.parent)
        ).iter_reports()
    }
    assert seen == {key: whole[key] for key in seen}
