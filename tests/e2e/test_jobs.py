"""Studies as jobs of a token-protected cluster of three nodes: one of them dies, a driver dies, a job is
stopped; submitted again, everything ends complete, and the metrics showed it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_cluster import ROOT, JobCluster, job_cluster
from patience import patience_s, wait_until
from ray_nodes import RAY, kill_tree

from tune_jobs import TrialStore
from tune_jobs.errors import StoreError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

EPOCHS = 20
OPTIONS = [
    "--epochs",
    str(EPOCHS),
    "--no-asha",
    "--workers",
    "1",
    "--checkpoint-period",
    "0",
]
OPTIONS += ["--fix", "batch_size=32", "--device", "cpu"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[JobCluster]:
    with job_cluster(workers=2) as made:
        yield made


def submit(cluster: JobCluster, store: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    trials = () if "--trials" in words else ("--trials", "3")  # one value alone
    asked = ("--name", name, "--store", str(store), *OPTIONS, *trials, *words)
    return cluster.call("submit", "digits-recipes", *asked)


def submit_the_rest(cluster: JobCluster, store: Path, name: str, *words: str) -> None:
    """Submit a study again, with one trial more than have ended; it was to run for ever before."""
    target = len(TrialStore(store).trials(name)) + 1
    done = submit(cluster, store, name, "--trials", str(target), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if f"/{target} trials" in line]
    if "--no-wait" not in words:
        assert 1 <= len(lines) < 30  # written line by line, not redrawn
        assert "best " in lines[-1]


def job_of(cluster: JobCluster, name: str) -> dict[str, object]:
    done = cluster.call("status", name, "--format", "json")
    assert done.returncode == 0, done.stderr
    (job,) = json.loads(done.stdout)
    return dict(job)


def num_reports(store: Path, name: str) -> int:
    try:
        return int((TrialStore(store).reports()["study"] == name).sum())
    except StoreError:  # there is none yet
        return 0


def check_complete(store: Path, name: str) -> None:
    opened = TrialStore(store)
    trials, reports = opened.trials(name), opened.reports(name)
    assert sorted(trials["number"]) == list(range(len(trials)))
    assert set(trials["state"]) <= {"completed", "failed"}
    for trial in trials[trials["state"] == "completed"].itertuples():
        own = reports[reports["number"] == trial.number].drop_duplicates("epoch")
        assert sorted(own["epoch"]) == list(range(1, EPOCHS + 1))


def test_without_the_token_nothing_is_shown_and_no_job_is_accepted(
    cluster: JobCluster, tmp_path: Path
) -> None:
    assert cluster.status_without_token("/api/jobs/") == 401
    (tmp_path / "token").write_text("f" * 64)
    words = ("submit", "digits-recipes", "--store", str(tmp_path / "store"), "--no-wait")
    wrong = cluster.call(*words, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    missing = cluster.call(*words, RAY_AUTH_MODE="disabled")
    for done in (wrong, missing):
        assert done.returncode == 1, done.stderr
        assert "refused us" in done.stderr
        assert "RAY_AUTH_TOKEN_PATH" in done.stderr
        assert "Traceback" not in done.stderr
    token = Path(cluster.environment["RAY_AUTH_TOKEN_PATH"]).read_text()
    assert token not in wrong.stderr + missing.stderr
    assert cluster.call("status", "--format", "csv").stdout.count("\n") == 1  # the head of the table alone


def test_studies_survive_what_clusters_do(cluster: JobCluster, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for name in ("one", "two"):
        done = submit(cluster, store, name, "--trials", "500", "--no-wait")
        assert done.returncode == 0, done.stderr
    first = str(job_of(cluster, "one")["job"])
    again = submit(cluster, store, "one")
    assert again.returncode == 1
    assert f"job '{first}' runs study 'one' of store" in again.stderr
    for name in ("one", "two"):
        wait_until(lambda name=name: num_reports(store, name) >= 8, f"no reports of {name}")
    wait_until(
        lambda: {"one", "two"} <= {t[5:8] for t in cluster.titles() if re.match(r"ray::\w+-\d{5}", t)},
        "no worker is named by its trial",
    )

    as_is = subprocess.run(
        [RAY, "job", "submit", "--address", cluster.url, "--working-dir", str(ROOT), "--", "python", "-m",
         "tune_jobs", "run", "digits-recipes", "--name", "one", "--store", str(store), "--trials", "3",
         *OPTIONS],
        cwd=tmp_path, env=cluster.environment, capture_output=True, text=True, timeout=patience_s(),
    )  # fmt: skip
    assert as_is.returncode == 1
    assert f"(job {first})" in as_is.stdout  # the second run names the job that runs the study

    os.kill(cluster.find_driver("tune_jobs", "--name", "two"), signal.SIGKILL)
    kill_tree(cluster.nodes[1])
    cluster.add_worker("--num-gpus=4")
    names = ("trials", "feasible_share", "worker_seconds", "reports_total")  # each is sent at its own times
    wait_until(
        lambda: all(re.search(f'ray_tune_jobs_{one}{{.*study="one"', cluster.metrics()) for one in names),
        "no metrics",
    )
    assert wait_until(lambda: job_of(cluster, "two")["state"] == "failed", "the dead driver's job lives on")

    stopped = cluster.call("stop", "one")
    assert stopped.returncode == 0, stopped.stderr
    assert "stopped" in stopped.stderr
    ended = TrialStore(store).sql(
        "select detail->>'how' as how from events where study = 'one' and kind = 'session_ended'"
    )
    assert list(ended["how"]) == ["interrupted"]  # in order, within the time of grace

    submit_the_rest(cluster, store, "two", "--no-wait")
    submit_the_rest(cluster, store, "one")
    followed = cluster.call("logs", "two", "--follow")
    assert followed.returncode == 0, followed.stdout + followed.stderr
    for name in ("one", "two"):
        check_complete(store, name)
        job = job_of(cluster, name)
        assert job["exit_code"] == 0
        assert f"{len(TrialStore(store).trials(name))} of " in str(job["progress"])
    assert TrialStore(store).starts()["attempt"].max() >= 2
    commits = TrialStore(store).trials()["git_commit"]
    assert commits.notna().all()  # although a job runs in a copy without history


def test_trials_are_held_to_their_share_and_get_a_larger_one(cluster: JobCluster, tmp_path: Path) -> None:
    """On simulated GPUs, which `ray start --num-gpus 4` gave the node that joined."""
    shutil.copy(Path(__file__).with_name("gpu_study.py"), tmp_path)
    words = ("submit", "gpu_study.py:study", "--working-dir", str(tmp_path), "--gpus-per-trial", "0.5")
    done = cluster.call(*words, "--store", str(tmp_path / "store"), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    store = TrialStore(tmp_path / "store")
    trials = store.trials().set_index("param_batch_size")
    assert dict(trials["state"]) == {2: "completed", 14: "completed", 20: "failed"}
    assert dict(trials["attempt"]) == {2: 1, 14: 2, 20: 2}
    assert trials.loc[20, "reason"].startswith("attempt 2 ran out of memory: OutOfMemoryError: CUDA")
    assert trials.loc[20, "peak_memory_bytes"] == 20 << 30
    assert set(trials["device"]) == {"cuda: simulated"}
    reports, number = store.reports().set_index("number"), trials["number"]
    context = (600 << 20) / (16 << 30)
    assert dict(reports["train_loss"]) == pytest.approx({number[2]: 0.5 - context, number[14]: 1.0})
    assert set(reports["train_accuracy"]) <= {0, 1, 2, 3}  # each saw one device
    of_the_larger = f"kind = 'attempt_ended' and number = {number[14]}"
    ends = store.sql(f"select detail->>'how' as how from events where {of_the_larger}")
    assert ends["how"].str.startswith("attempt 1 ran out of its share of GPU memory").sum() == 1


def test_a_gpu_that_fails_for_good_costs_one_attempt_each_time(cluster: JobCluster, tmp_path: Path) -> None:
    """Each trial breaks its process once: three crashes, in processes that end, and no trial is lost."""
    shutil.copy(Path(__file__).with_name("gpu_study.py"), tmp_path)
    words = ("submit", "gpu_study.py:sticky", "--working-dir", str(tmp_path), "--gpus-per-trial", "1")
    where = ("--store", str(tmp_path / "store"), "--data-dir", str(tmp_path))
    done = cluster.call(*words, *where, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    store = TrialStore(tmp_path / "store")
    assert set(store.trials()["state"]) == {"completed"}
    assert list(store.trials()["attempt"]) == [2, 2, 2]
    ends = store.sql("select detail->>'how' as how from events where kind = 'attempt_ended'")["how"]
    crashes = ends[ends.str.startswith("attempt 1 crashed")]
    assert len(crashes) == 3
    assert crashes.str.contains("illegal memory access").all()


def test_what_the_cluster_can_never_give_is_said_at_once(cluster: JobCluster, tmp_path: Path) -> None:
    words = ("run", "digits-recipes", "--store", str(tmp_path / "store"), "--device", "cpu")
    done = cluster.call(*words, "--cpus-per-trial", "64", "--address", cluster.address)
    assert done.returncode == 1
    assert (
        "a trial takes 64 CPU, and no node of the cluster has that (3 nodes; the largest has" in done.stderr
    )
    assert "and it has no autoscaler; lower --cpus-per-trial" in done.stderr
