"""A node dies, the head dies: the study can be brought to its end, and nothing that was reported is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import patience_s, slowness
from ray_nodes import ENVIRONMENT, Cluster, cluster, epochs_in_training, freeze_when, kill_tree, thaw

from tune_jobs import TrialStore
from tune_jobs.report.ledger import account

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

TRIALS, EPOCHS = 4, 60
WORDS = [sys.executable, "-m", "tune_jobs", "run", "digits-recipes", "--no-asha", "--epochs", str(EPOCHS)]
WORDS += ["--trials", str(TRIALS), "--workers", "2", "--checkpoint-period", "0", "--fix", "batch_size=32"]
RECONNECT_S = 10
"""On a quiet machine: for so long a driver tries to reach a head before it takes it for dead."""


def begin(folder: Path, made: Cluster) -> subprocess.Popen[str]:
    environment = {**ENVIRONMENT, "RAY_gcs_rpc_server_reconnect_timeout_s": f"{RECONNECT_S * slowness():.0f}"}
    return subprocess.Popen(
        [*WORDS, "--address", made.address], cwd=folder, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def freeze_in_training(folder: Path, process: subprocess.Popen[str], *, processes: int) -> None:
    """Come back when so many processes are in the midst of a trial, well after its first epoch."""

    def in_the_midst() -> bool:
        epochs = epochs_in_training(folder / "trials")
        return len(epochs) >= processes and all(3 <= epoch <= 2 * EPOCHS // 3 for epoch in epochs.values())

    freeze_when(process, in_the_midst)


def check_complete(folder: Path) -> TrialStore:
    store = TrialStore(folder / "trials")
    trials, reports = store.trials(), store.reports()
    assert sorted(trials["number"]) == list(range(TRIALS))
    assert set(trials["state"]) <= {"completed", "failed"}
    for trial in trials[trials["state"] == "completed"].itertuples():
        own = reports[reports["number"] == trial.number].drop_duplicates("epoch")
        assert sorted(own["epoch"]) == list(range(1, EPOCHS + 1))
    return store


def test_trials_of_a_lost_node_continue_elsewhere_from_their_checkpoints(tmp_path: Path) -> None:
    with cluster(nodes=2) as made:
        process = begin(tmp_path, made)
        try:
            freeze_in_training(tmp_path, process, processes=2)
            kill_tree(made.nodes[1])
            thaw(process)
            out, err = process.communicate(timeout=patience_s())
        finally:
            kill_tree(process)
    assert process.returncode == 0, out + err
    store = check_complete(tmp_path)
    began = store.events().query("kind == 'attempt_started' and attempt > 1")
    assert len(began)
    assert (began["detail"].str.extract(r'"resumed_from_epoch":(\d+)')[0].astype(int) >= 2).all()
    crashed = store.events().query("kind == 'attempt_ended'")["detail"].str.contains("attempt 1 crashed")
    assert crashed.any()
    assert account(store.rows("digits-recipes"))["redone"] > 0


def test_without_its_head_the_run_ends_and_the_same_command_continues(tmp_path: Path) -> None:
    with cluster(nodes=1) as made:
        process = begin(tmp_path, made)
        try:
            freeze_in_training(tmp_path, process, processes=1)
            before = len(TrialStore(tmp_path / "trials").reports())
            assert made.head is not None
            kill_tree(made.head)
            thaw(process)
            _, err = process.communicate(timeout=patience_s())
        finally:
            kill_tree(process)
    assert process.returncode == 1, err
    assert re.search(r"the head of the cluster at \S+ does not answer any more", err)
    assert "All finished trials are in the store. Continue with:" in err
    ends = TrialStore(tmp_path / "trials").events().query("kind == 'session_ended'")
    assert list(ends["detail"].str.contains("failed")) == [True]
    assert len(TrialStore(tmp_path / "trials").reports()) >= before
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    done = subprocess.run(
        WORDS,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check_complete(tmp_path)
