"""A cluster that has no worker until somebody waits for one: nodes come for a study's trials and go after
them, also when its driver is killed, and what no node can ever give is refused in time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_cluster import TUNE_JOBS
from patience import patience_s, wait_until
from ray_nodes import kill_tree
from scaling_cluster import MAX_WORKERS, ScalingCluster, scaling_cluster

from tune_jobs import TrialStore
from tune_jobs.errors import StoreError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

EPOCHS = 12
WORDS = [
    *TUNE_JOBS,
    "run",
    "digits-recipes",
    "--no-asha",
    "--epochs",
    str(EPOCHS),
    "--checkpoint-period",
    "0",
]
WORDS += ["--fix", "batch_size=32"]
NODES = {"cpu": ({"CPU": 1}, 2), "gpu": ({"CPU": 1, "GPU": 1}, 1)}


@pytest.fixture(
    scope="module", params=[2, pytest.param(1, marks=pytest.mark.slow)], ids="autoscaler-{}".format
)
def cluster(request: pytest.FixtureRequest) -> Iterator[ScalingCluster]:
    with scaling_cluster(NODES, version=request.param) as made:
        made.wait_for(cpus=0)
        yield made


def begin(
    cluster: ScalingCluster, folder: Path, *words: str, run: list[str] = WORDS
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*run, "--address", cluster.address, *words],
        cwd=folder,
        env=cluster.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def reporting_trials(folder: Path) -> int:
    try:
        return int(TrialStore(folder / "trials").reports()["number"].nunique())
    except StoreError:  # there is none yet
        return 0


def test_what_no_node_type_has_is_refused_and_asked_for_no_more(
    cluster: ScalingCluster, tmp_path: Path
) -> None:
    shutil.copy(Path(__file__).with_name("gpu_study.py"), tmp_path)  # the shipped training takes one GPU
    process = begin(cluster, tmp_path, "--gpus-per-trial", "4", run=[*TUNE_JOBS, "run", "gpu_study.py:study"])
    _, err = process.communicate(timeout=patience_s())
    assert process.returncode == 1, err
    assert "a trial takes 1 CPU and 4 GPU, and no node of the cluster has that" in err
    assert "its autoscaler starts no such node: no node type has that" in err
    assert "Traceback" not in err
    wait_until(lambda: cluster.num_waiting == 0, "the refused run still asks")
    assert cluster.num_workers == 0


def test_nodes_come_for_trials_and_go_after_a_killed_and_a_finished_run(
    cluster: ScalingCluster, tmp_path: Path
) -> None:
    process = begin(cluster, tmp_path, "--trials", "500", "--workers", "4", "--device", "cpu")
    try:
        wait_until(lambda: reporting_trials(tmp_path) >= 2, "no trials ran")
        wait_until(lambda: cluster.num_workers == MAX_WORKERS, "too few nodes came")
        wait_until(lambda: cluster.num_waiting >= 1, "it asks for no more nodes than may be")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        _, err = process.communicate()
    assert "waiting for the autoscaler to start one" in err
    wait_until(lambda: cluster.num_waiting == 0, "a dead driver's demand stays")
    wait_until(lambda: cluster.num_workers == 0, "idle nodes stay")

    target = str(len(TrialStore(tmp_path / "trials").trials()) + 3)
    process = begin(cluster, tmp_path, "--trials", target, "--workers", "2", "--device", "cpu")
    try:
        out, err = process.communicate(timeout=patience_s())
    finally:
        kill_tree(process)
    assert process.returncode == 0, out + err
    check_complete(tmp_path, int(target))
    wait_until(lambda: cluster.num_waiting == 0, "a finished run's demand stays")
    wait_until(lambda: cluster.num_workers == 0, "idle nodes stay")


def test_measured_share_of_a_gpu_that_comes_from_zero_is_what_trials_get(
    cluster: ScalingCluster, tmp_path: Path
) -> None:
    """On a simulated GPU, the only one that there can be."""
    shutil.copy(Path(__file__).with_name("gpu_study.py"), tmp_path)
    process = begin(
        cluster, tmp_path, "--gpus-per-trial", "auto", run=[*TUNE_JOBS, "run", "gpu_study.py:measured"]
    )
    try:
        out, err = process.communicate(timeout=patience_s())
    finally:
        kill_tree(process)
    assert process.returncode == 0, out + err
    # batches of 127 images; the step takes no time on the device, so memory alone bounds them
    words = "takes 2.66 of 17.2 GB and keeps the GPU busy for 1 % of a step; 1, 2, 4 of it side by side train"
    assert f"{words} 1000, 2000, 4000 images/s in all: 4 trials share a GPU" in err
    store = TrialStore(tmp_path / "trials")
    assert list(store.trials()["state"]) == ["completed"] * 4
    began = store.sql("select device, detail->>'gpus' as gpus from events where kind = 'attempt_started'")
    assert list(began["gpus"].astype(float)) == [0.25] * 4
    assert set(began["device"]) == {"cuda: simulated"}


def check_complete(folder: Path, num_trials: int) -> None:
    store = TrialStore(folder / "trials")
    trials, reports = store.trials(), store.reports()
    assert sorted(trials["number"]) == list(range(num_trials))
    assert set(trials["state"]) <= {"completed", "failed"}  # a rate may diverge
    for trial in trials[trials["state"] == "completed"].itertuples():
        own = reports[reports["number"] == trial.number].drop_duplicates("epoch")
        assert sorted(own["epoch"]) == list(range(1, EPOCHS + 1))
