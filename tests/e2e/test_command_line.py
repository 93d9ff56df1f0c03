"""What a user does, as a user does it: processes, signals, and other programs that read the store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest
from patience import patience_s
from ray_nodes import epochs_in_training, freeze_when, thaw

from tune_jobs import TrialStore

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, "-m", "tune_jobs", "run"]
SHORT = [*RUN, "digits-recipes", "--workers", "2", "--trials", "6", "--epochs", "4"]
SAVED_OFTEN = [*RUN, "digits-recipes", "--workers", "1", "--epochs", "40", "--checkpoint-period", "0"]
LONG = [*SAVED_OFTEN, "--trials", "4"]
Q_TABLE = "select number, params, state, epochs, objective, reason from trials order by number"


def call(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=patience_s(), check=False
    )


def begin_and_freeze(words: list[str], folder: Path, store: str) -> subprocess.Popen[str]:
    """Start a run and come back with it stopped in the midst of a trial that has checkpoints."""
    process = subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    freeze_when(process, lambda: any(epoch >= 3 for epoch in epochs_in_training(store).values()))
    return process


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("main job")
    return folder, call(SHORT, folder)


def test_main_job_ends_with_a_leaderboard_and_a_query(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = finished
    assert done.returncode == 0, done.stderr
    assert "best " in done.stdout
    assert "how trials ended" in done.stdout
    assert "store: " in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    lines = [
        line for line in done.stderr.splitlines() if "/6 trials |" not in line
    ]  # of a run that took long
    assert len(lines) < 10, done.stderr
    query = next(line.strip() for line in done.stderr.splitlines() if " query " in line)
    asked = subprocess.run(query, shell=True, cwd=folder, capture_output=True, text=True, check=True)
    assert "param_optimizer" in asked.stdout


def test_second_run_says_complete_and_adds_nothing(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = finished
    before = len(TrialStore(folder / "trials").trials())
    again = call(SHORT, folder)
    assert again.returncode == 0
    assert "is complete: 6 of 6 trials" in again.stderr
    assert len(TrialStore(folder / "trials").trials()) == before == 6


@pytest.mark.parametrize("table", ["trials", "reports", "starts", "events"])
def test_store_opens_without_flags_in_every_reader(
    finished: tuple[Path, subprocess.CompletedProcess[str]], table: str
) -> None:
    folder, _ = finished
    path = folder / "trials" / table
    count = len(getattr(TrialStore(folder / "trials"), table)())
    assert count > 0
    assert len(pd.read_parquet(path)) == count
    assert ds.dataset(path).count_rows() == count
    assert pl.scan_parquet(f"{path}/*/*.parquet").collect().height == count
    counted = duckdb.sql(f"select count(*) from read_parquet('{path}/*/*.parquet')").fetchall()
    assert counted == [(count,)]


def test_second_driver_is_refused_and_an_interrupt_keeps_what_finished(tmp_path: Path) -> None:
    process = begin_and_freeze(LONG, tmp_path, str(tmp_path / "trials"))
    second = call(LONG, tmp_path)
    assert second.returncode == 1
    assert f"is being written by process {process.pid} on" in second.stderr
    os.kill(process.pid, signal.SIGINT)
    thaw(process)
    _, err = process.communicate(timeout=patience_s())
    assert process.returncode == 130, err
    assert "Continue with:" in err
    assert "Traceback" not in err
    assert call(LONG, tmp_path).returncode == 0
    trials = TrialStore(tmp_path / "trials").trials()
    assert sorted(trials["number"]) == [0, 1, 2, 3]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TrialStore:
    """What `LONG` ends with when nothing happens to it."""
    folder = tmp_path_factory.mktemp("whole")
    assert call(LONG, folder).returncode == 0
    return TrialStore(folder / "trials")


def kill_and_continue(command: list[str], folder: Path, store: str) -> TrialStore:
    """A command, killed in the midst of a trial and called again; it ends with 0."""
    words = [*command, "--store", store]
    process = begin_and_freeze(words, folder, store)
    process.kill()
    process.communicate()
    done = call(words, folder)
    assert done.returncode == 0, done.stderr
    return TrialStore(store)


def test_killed_run_ends_with_the_table_of_an_uninterrupted_one(
    tmp_path: Path, uninterrupted: TrialStore
) -> None:
    killed = kill_and_continue(LONG, tmp_path, str(tmp_path / "trials"))
    pd.testing.assert_frame_equal(uninterrupted.sql(Q_TABLE), killed.sql(Q_TABLE))
    assert killed.starts()["attempt"].max() == 2
    resumed = killed.sql(
        "select max(cast(detail->>'resumed_from_epoch' as int)) as n from events where attempt = 2"
    )
    assert resumed["n"][0] > 0


def test_store_in_a_bucket_is_killed_and_continued(tmp_path: Path, s3_store: str) -> None:
    """No trial is stopped early, so there is time to see one in a store that takes a second to look at."""
    command = [*SAVED_OFTEN, "--trials", "3", "--no-asha"]
    (tmp_path / "local").mkdir()
    assert call(command, tmp_path / "local").returncode == 0
    killed = kill_and_continue(command, tmp_path, s3_store)
    pd.testing.assert_frame_equal(TrialStore(tmp_path / "local" / "trials").sql(Q_TABLE), killed.sql(Q_TABLE))
    assert killed.starts()["attempt"].max() == 2
    assert 'resumed_from_epoch":0' not in killed.events().query("attempt == 2")["detail"].iloc[0]


def test_study_network_and_data_of_ones_own_reach_the_workers(tmp_path: Path) -> None:
    target = f"{ROOT / 'examples' / 'my_study.py'}:my_study"
    done = call([*RUN, target, "--workers", "2", "--trials", "3", "--store", "own"], tmp_path)
    assert done.returncode == 0, done.stderr
    trials = TrialStore(tmp_path / "own").trials()
    assert len(trials) == 3
    assert set(trials["state"]) <= {"completed", "stopped"}
    assert trials["macs"].nunique() > 1
    show = [sys.executable, "-m", "tune_jobs", "show", "--audit", "--store", "own"]
    audit = call([*show, target], tmp_path)
    assert (audit.returncode, "0 differ" in audit.stdout) == (0, True)
    unnamed = call([*show, "odd-or-even"], tmp_path)
    assert unnamed.returncode == 2
    assert "Name it by its code" in unnamed.stderr
