"""`ray up`, `ray down` and what lies between them, as the person beside the hosts does it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cluster.engine import Done
from benchmarks.cluster.findings import ROOT
from benchmarks.cluster.hosts import LOGIN, Host, Hosts
from benchmarks.cluster.waiting import wait_for

CONTAINER = "tune_jobs"
RAY = "/opt/tune-jobs/bin/ray"
MAKE_TOKEN = re.compile(r"^\(umask .* > ~/\.ray/auth_token\)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """A cluster file with its overlay, and the hosts that it is for."""

    hosts: Hosts
    file: Path

    @property
    def head(self) -> Host:
        return self.hosts.hosts[0]

    def call(self, *words: str, timeout: float = 600.0, **variables: str) -> Done:
        """Run a program as the person; stdout and stderr come together."""
        return subprocess.run(
            words,
            env={**self.hosts.environment(), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.hosts.work,
        )

    def up(self, **variables: str) -> Done:
        return self.call("ray", "up", "--yes", str(self.file), **variables)

    def down(self) -> Done:
        return self.call("ray", "down", "--yes", str(self.file))

    def tune_jobs(self, *words: str, timeout: float = 900.0, **variables: str) -> Done:
        """Run a verb of ours, from this checkout."""
        python = {"PYTHONPATH": str(ROOT), **variables}
        return self.call(sys.executable, "-m", "tune_jobs", *words, timeout=timeout, **python)

    def status(self) -> str:
        """What `ray status` says on the head."""
        words = ("exec", CONTAINER, RAY, "status", "--address", f"{self.head.address}:6379")
        done = self.head.docker(*words, timeout=60)
        return done.stdout + done.stderr

    def num_nodes(self) -> int:
        """Nodes that run, the head among them."""
        listed = self.status().partition("Node status")[2].partition("Pending:")[0]
        return sum(map(int, re.findall(r"^\s+(\d+) \S+$", listed, re.MULTILINE)))

    def monitor_log(self, lines: int = 40) -> str:
        """The end of what the autoscaler wrote."""
        code = f"tail -q -n {lines} /var/lib/ray/private/ray/session_latest/logs/monitor.*"
        return self.head.docker("exec", CONTAINER, "sh", "-c", code).stdout

    @contextmanager
    def dashboard(self) -> Iterator[str]:
        """The dashboard's address, forwarded by `ray dashboard`."""
        port = free_port()
        words = ["ray", "dashboard", "--port", str(port), str(self.file)]
        with self._forwarding(words, port) as address:
            yield address

    @contextmanager
    def tunnel(self) -> Iterator[str]:
        """The dashboard's address, forwarded by ssh."""
        port = free_port()
        words = ["ssh", "-N", "-L", f"{port}:127.0.0.1:8265", *ssh_options(self.hosts)]
        with self._forwarding([*words, f"{LOGIN}@{self.head.address}"], port) as address:
            yield address

    @contextmanager
    def _forwarding(self, words: list[str], port: int) -> Iterator[str]:
        process = subprocess.Popen(
            words,
            env=self.hosts.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=self.hosts.folder,
        )
        try:
            wait_for(lambda: answers("127.0.0.1", port), f"{words[0]} {words[1]} forwards", seconds=60)
            yield f"http://127.0.0.1:{port}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def ssh_options(hosts: Hosts) -> list[str]:
    """Words of ssh for hosts that are made anew each time."""
    known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    return ["-i", str(hosts.key), *known]


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def answers(host: str, port: int, seconds: float = 1.0) -> bool:
    """Whether somebody listens there."""
    with suppress(OSError), socket.create_connection((host, port), timeout=seconds):
        return True
    return False


def make_token(home: Path) -> Path:
    """Make the token as docs/cluster.md says; returns its file."""
    (line,) = MAKE_TOKEN.findall((ROOT / "docs" / "cluster.md").read_text())
    subprocess.run(["sh", "-c", line], env={**os.environ, "HOME": str(home)}, check=True)
    return home / ".ray" / "auth_token"


def overlay(hosts: Hosts, image: str, **changes: Any) -> dict[str, Any]:
    """What is replaced in a cluster file for these hosts, and nothing else: the documented overlay.

    The image has no registry to be pulled from, the machines have no GPU, and a process may have fewer files
    open than the file asks for.
    """
    options = ["--shm-size=1gb", "--volume /mnt/shared:/shared", "--env RAY_AUTH_MODE=token"]
    changed: dict[str, Any] = {
        "provider": {
            "type": "local",
            "head_ip": hosts.hosts[0].address,
            "worker_ips": [host.address for host in hosts.hosts[1:]],
        },
        "auth": {"ssh_user": LOGIN, "ssh_private_key": str(hosts.key)},
        "docker": {
            "image": image,
            "container_name": CONTAINER,
            "pull_before_run": False,
            "run_options": [hosts.ulimit(), *options],
            "worker_run_options": [],
        },
    }
    return {**changed, **changes}


def write_overlaid(name: str, hosts: Hosts, changes: dict[str, Any]) -> Launcher:
    """The cluster file of this checkout with these changes, in the hosts' folder."""
    config = {**yaml.safe_load((ROOT / name).read_text()), **changes}
    file = hosts.folder / name
    file.write_text(yaml.safe_dump(config, sort_keys=False, width=1000))
    return Launcher(hosts=hosts, file=file)


def left_behind(host: Host) -> list[str]:
    """Containers of a host, and its processes beside its SSH server's."""
    names = [f"container {name}" for name in host.containers()]
    for pid in host.pids():
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if "sshd" not in command and command.strip():
                names.append(command.strip()[:80])
    return names


def settled(host: Host, seconds: float = 30.0) -> list[str]:
    """What is left behind on a host when that has had time to end."""
    deadline = time.monotonic() + seconds
    while (left := left_behind(host)) and time.monotonic() < deadline:
        time.sleep(1)
    return left
