"""Real Ray nodes on this machine, to be killed: each a `ray start` of its own with its own ports."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patience import patience_s, pause_s, slowness, wait_until

from tune_jobs import TrialStore
from tune_jobs.errors import StoreError

RAY = Path(sys.executable).with_name("ray")
ENVIRONMENT = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
OBJECT_STORE_BYTES = 100 << 20
ASKING_S = 30.0
"""On a quiet machine. Who asks a head that has died waits for ever."""

ASKS_FOR_S = 10.0
"""A node that joins on a quiet machine takes less."""

PORTS = itertools.count(6400 + os.getpid() % 1500)


@dataclass
class Cluster:
    """A head without CPUs and some nodes."""

    temp: str
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    port: int = 0
    head: subprocess.Popen[bytes] | None = None
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start_head(self) -> None:
        self.port, *agent = free_ports(4)
        words = ["--head", f"--port={self.port}", "--num-cpus=0", f"--temp-dir={self.temp}/h"]
        self.head = self._start([*words, "--include-dashboard=false"], agent)

    def add_node(self, *words: str, cpus: int = 1) -> subprocess.Popen[bytes]:
        node = self._start([f"--address={self.address}", f"--num-cpus={cpus}", *words], free_ports(3))
        self.nodes.append(node)
        return node

    def _start(self, words: list[str], ports: list[int]) -> subprocess.Popen[bytes]:
        names = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port")
        words += [f"--{name}={port}" for name, port in zip(names, ports, strict=True)]
        words += [f"--object-store-memory={OBJECT_STORE_BYTES}", "--disable-usage-stats"]
        return subprocess.Popen(
            [str(RAY), "start", "--block", *words],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def join(self, add: Callable[[], subprocess.Popen[bytes]], *, cpus: int) -> None:
        """Add a node, and come back when the cluster has so many CPUs.

        A node gives up after half a minute on a head that a busy machine holds up; then another is added.
        """
        node = add()
        wait_until(
            lambda: self.has(cpus=cpus) or node.poll() is not None, f"the cluster did not get {cpus} CPUs"
        )
        if node.poll() is not None:
            self.nodes.remove(node)
            self.join(add, cpus=cpus)

    def wait_for(self, *, cpus: int) -> None:
        """Come back when the cluster has so many CPUs."""
        wait_until(lambda: self.has(cpus=cpus), f"the cluster did not get {cpus} CPUs")

    def has(self, *, cpus: int) -> bool:
        """Whether the cluster has so many CPUs, as a driver of its own hears it.

        The driver asks for some seconds: to start one costs more than that.
        """
        code = (
            "import ray, sys, time\n"
            f"ray.init('{self.address}', logging_level='ERROR', log_to_driver=False)\n"
            f"has = lambda: ray.cluster_resources().get('CPU', 0) >= {cpus}\n"
            f"ends = time.monotonic() + {ASKS_FOR_S}\n"
            "while not has() and time.monotonic() < ends: time.sleep(0.2)\n"
            "sys.exit(not has())"
        )
        with suppress(subprocess.TimeoutExpired):
            words = [sys.executable, "-c", code]
            limit_s = ASKING_S * slowness()
            asked = subprocess.run(words, env=self.environment, capture_output=True, timeout=limit_s)
            return asked.returncode == 0
        return False


@contextmanager
def cluster(*, nodes: int) -> Iterator[Cluster]:
    """A cluster of one-CPU nodes; everything of it is ended afterwards."""
    temp = tempfile.mkdtemp(prefix="r", dir="/tmp")  # Ray's sockets need a short path
    made = Cluster(temp=temp)
    try:
        made.start_head()
        for number in range(1, nodes + 1):  # one after the other: those that start at once may collide
            made.join(made.add_node, cpus=number)
        yield made
    finally:
        for process in (*made.nodes, made.head):
            if process is not None:
                kill_tree(process)
        shutil.rmtree(temp, ignore_errors=True)


def kill_tree(process: subprocess.Popen[Any]) -> None:
    """SIGKILL a process with all its descendants, as a machine that loses power."""
    pids = [process.pid, *descendants(process.pid)]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def freeze_when(process: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    """Come back when `holds`, with the driver stopped, so that it holds until `thaw` or a kill.

    Its workers wait for it after their next report.
    """
    began = time.monotonic()
    while time.monotonic() - began < patience_s() and process.poll() is None:
        looked = time.monotonic()
        if holds():
            os.kill(process.pid, signal.SIGSTOP)
            if holds():
                return
            thaw(process)
        time.sleep(pause_s(looked, period_s=0.2))
    kill_tree(process)
    raise AssertionError(f"it was not to be seen: {process.communicate()}")


def thaw(process: subprocess.Popen[str]) -> None:
    """Let a frozen driver continue."""
    os.kill(process.pid, signal.SIGCONT)


def epochs_in_training(folder: str | Path) -> dict[int, int]:
    """Of each process that trains, how many epochs of its trial the store has; none without a store."""
    try:
        store = TrialStore(folder)
        began = store.events().query("kind == 'attempt_started'")
        training = began[~began["number"].isin(store.trials()["number"])]
        epochs = store.reports().groupby("number")["epoch"].max()
    except StoreError:
        return {}
    return {int(row.pid): int(epochs.get(row.number, 0)) for row in training.itertuples()}


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def free_ports(count: int) -> list[int]:
    """Ports that are free now, that nobody was given before, and that lie below those of Ray's workers."""
    found: list[int] = []
    while len(found) < count:
        port = next(PORTS)
        with suppress(OSError), socket.socket() as bound:
            bound.bind(("127.0.0.1", port))
            found.append(port)
    return found
