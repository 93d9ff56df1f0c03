"""A cluster as people use it: a token, a dashboard that takes jobs, metrics, and nodes that come and go."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patience import patience_s, wait_until
from ray_nodes import RAY, Cluster, descendants, free_ports, kill_tree

ROOT = Path(__file__).parents[2]
TUNE_JOBS = [sys.executable, "-m", "tune_jobs"]


class JobCluster(Cluster):
    """Each node has a folder of its own, as machines do: nodes that share one overwrite each other's jobs."""

    def start_head(self) -> None:
        self.port, self.dashboard_port, client, self.metrics_port, *agent = free_ports(6)
        words = ["--head", f"--port={self.port}", "--num-cpus=0", f"--temp-dir={self.temp}/h"]
        words += ["--dashboard-host=127.0.0.1", f"--dashboard-port={self.dashboard_port}"]
        words += [f"--ray-client-server-port={client}"]
        self.head = self._start(words, [*agent, self.metrics_port])

    def add_worker(self, *words: str) -> subprocess.Popen[bytes]:
        """A node with one CPU."""
        return self.add_node(f"--temp-dir={self.temp}/{len(self.nodes)}", *words)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"

    def call(self, *words: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line against this cluster, as somebody who has a token in the home folder."""
        plain = {name: value for name, value in self.environment.items() if not name.startswith("RAY_AUTH_")}
        variables = {**plain, "RAY_API_SERVER_ADDRESS": self.url, **environment}
        return subprocess.run(
            [*TUNE_JOBS, *words],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=patience_s(),
        )

    def find_driver(self, *words: str) -> int:
        """The process of a job whose command line has all these words."""
        assert self.head is not None
        for pid in descendants(self.head.pid):
            with suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                if all(word in line for word in words):
                    return pid
        raise AssertionError(f"no process {words}")

    def titles(self) -> list[str]:
        """The titles of the processes of the nodes that joined, as the dashboard shows them."""
        found = []
        for pid in (pid for node in self.nodes for pid in descendants(node.pid)):
            with suppress(OSError):
                found.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[0])
        return found

    def metrics(self) -> str:
        """What Prometheus would read of the head, where the drivers run."""
        host = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
        for address in ("127.0.0.1", *host):
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://{address}:{self.metrics_port}/metrics") as a,
            ):
                return str(a.read().decode())
        return ""

    def status_without_token(self, path: str) -> int:
        """The HTTP status that somebody without the token gets."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@contextmanager
def job_cluster(*, workers: int) -> Iterator[JobCluster]:
    """A head and some nodes behind a token that only this test knows; everything is ended afterwards."""
    temp = tempfile.mkdtemp(prefix="r", dir="/tmp")  # Ray's sockets need a short path
    home = Path(temp, "home")
    (home / ".ray").mkdir(mode=0o700, parents=True)
    token = home / ".ray" / "auth_token"
    token.write_text(secrets.token_hex(32))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_ADDRESS")},
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }
    made = JobCluster(temp=temp, environment=environment)
    try:
        made.start_head()
        wait_until(
            lambda: made.status_without_token("/api/version") == 401,
            "the dashboard did not come up",
        )  # and not together with nodes, which give up on a head that a busy machine holds up
        for number in range(1, workers + 1):
            made.join(made.add_worker, cpus=number)
        yield made
    finally:
        for process in (*made.nodes, made.head):
            if process is not None:
                kill_tree(process)
        shutil.rmtree(temp, ignore_errors=True)


assert RAY.exists(), "ray belongs to the environment of the tests"
