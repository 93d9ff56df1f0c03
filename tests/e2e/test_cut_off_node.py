"""A node whose network is cut while it trains: it is given up, its trial continues elsewhere, no row is lost.

The node is a network namespace with an address of its own, which takes root; Ray gives it up after a minute.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from job_cluster import TUNE_JOBS, JobCluster, job_cluster
from patience import patience_s, wait_until
from ray_nodes import RAY, free_ports, kill_tree

from tune_jobs import TrialStore
from tune_jobs.errors import StoreError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None,
        reason="makes network namespaces, which takes root on Linux",
    ),
]
NAME, LINK, NET = f"tj{os.getpid()}", f"tj{os.getpid()}a", "10.213.77"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def namespace() -> Iterator[list[str]]:
    """A machine of its own behind a cable; yields the words that run a command there."""
    ip("netns", "add", NAME)
    try:
        ip("link", "add", LINK, "type", "veth", "peer", "name", f"{NAME}b")
        ip("link", "set", f"{NAME}b", "netns", NAME)
        ip("addr", "add", f"{NET}.1/24", "dev", LINK)
        ip("link", "set", LINK, "up")
        for words in (
            f"addr add {NET}.2/24 dev {NAME}b",
            f"link set {NAME}b up",
            "link set lo up",
            f"route add default via {NET}.1",
        ):
            ip("-n", NAME, *words.split())
        yield ["ip", "netns", "exec", NAME]
    finally:
        subprocess.run(["ip", "link", "del", LINK], check=False)
        ip("netns", "del", NAME)


def start_node(cluster: JobCluster, inside: list[str]) -> subprocess.Popen[bytes]:
    host = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()[0]
    ports = zip(
        ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port"),
        free_ports(3),
        strict=True,
    )
    words = [*inside, str(RAY), "start", "--block", f"--address={host}:{cluster.port}", "--num-cpus=1"]
    words += [f"--node-ip-address={NET}.2", f"--temp-dir={cluster.temp}/cut", "--disable-usage-stats"]
    words += [f"--{name}={port}" for name, port in ports]
    node = subprocess.Popen(
        words,
        env=cluster.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    cluster.nodes.append(node)
    return node


def test_study_continues_without_a_node_that_is_cut_off(tmp_path: Path) -> None:
    store = tmp_path / "store"

    def nodes_that_report() -> int:
        try:
            return int(TrialStore(store).events().query("kind == 'attempt_started'")["node"].nunique())
        except StoreError:  # there is none yet
            return 0

    words = [*TUNE_JOBS, "run", "digits-recipes", "--store", str(store), "--no-asha", "--epochs", "60"]
    words += ["--trials", "6", "--workers", "2", "--checkpoint-period", "0", "--fix", "batch_size=32"]
    with namespace() as inside, job_cluster(workers=1) as cluster:
        start_node(cluster, inside)
        cluster.wait_for(cpus=2)
        run = subprocess.Popen(
            [*words, "--address", cluster.address, "--device", "cpu"],
            cwd=tmp_path,
            env=cluster.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until(lambda: nodes_that_report() == 2, "only one node trains")
            ip("link", "set", LINK, "down")
            out, _ = run.communicate(timeout=patience_s())
        finally:
            kill_tree(run)
    assert run.returncode == 0, out.decode()
    opened = TrialStore(store)
    trials, reports = opened.trials(), opened.reports()
    assert sorted(trials["number"]) == list(range(6))
    for trial in trials[trials["state"] == "completed"].itertuples():
        own = reports[reports["number"] == trial.number].drop_duplicates("epoch")
        assert sorted(own["epoch"]) == list(range(1, 61))
    how = opened.sql("select detail->>'how' as how from events where kind = 'attempt_ended'")["how"]
    assert how.str.startswith("attempt 1 crashed").sum() == 1  # the one on the node that was cut off
