"""A head and a node as `docs/cluster.md` starts them: where they listen, what other users of the head reach.

Each is a machine of its own, a network namespace, so that the usual ports are free; that takes root.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from documents import page
from job_cluster import TUNE_JOBS
from open_doors import files_to_write, is_private, listeners
from patience import patience_s, wait_until
from ray_nodes import RAY

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None,
        reason="makes network namespaces, which takes root on Linux",
    ),
]
CLUSTER, SECURITY = page("cluster"), page("security")
NET = "10.213.78"
NOBODY = 65534
OF_WORKERS = range(10002, 20000)
"""Ray's usual ports of processes that run code."""


def readme_line(words: str) -> str:
    """The line of the page's shell blocks that has these words, without its comment."""
    (line,) = [found for found in CLUSTER.splitlines() if words in found and not found.startswith(("*", "|"))]
    return line.partition(" #")[0].strip()


def documented(role: str) -> dict[int, str]:
    """The table of ports in `docs/security.md`: of a head or of a node, with the address that each is at."""
    rows = re.findall(r"^\| (\d+) \| ([\w ]+) \| (loopback|the network) \|", SECURITY, re.MULTILINE)
    return {int(port): at for port, of, at in rows if role in of.split()}


@dataclass
class Machine:
    """A network namespace with one address, and the processes in it."""

    name: str
    address: str
    folder: Path

    def environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_A")}
        path = f"{RAY.parent}{os.pathsep}{os.environ['PATH']}"
        return {
            **plain,
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder),
            "PATH": path,
            "RAY_AUTH_MODE": "token",
        }

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *words],
            env=self.environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=patience_s(),
        )

    def pids(self) -> list[int]:
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def temp_dir(self) -> Path:
        for pid in self.pids():
            with suppress(OSError):
                found = re.search(rb"--temp-dir=([^\0 ]+)", Path(f"/proc/{pid}/cmdline").read_bytes())
                if found:
                    return Path(os.fsdecode(found[1]))
        raise AssertionError("no process of Ray")

    def end(self) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    """A head and a node, with a cable between them and no other."""
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # Ray's sockets need a short path
    folder.chmod(0o755)  # as /tmp, for others to come in
    names = [f"tjd{os.getpid()}{end}" for end in "ab"]
    head, node = (Machine(name, f"{NET}.{at}", folder) for at, name in enumerate(names, start=1))
    home = folder / "home"
    home.mkdir()
    made: list[Machine] = []
    try:
        for machine in (head, node):
            ip("netns", "add", machine.name)
            made.append(machine)
        ends = [f"{name} netns {name}" for name in names]
        ip(*f"link add {ends[0]} type veth peer name {ends[1]}".split())
        for machine, other in ((head, node), (node, head)):
            for words in (
                "link set lo up",
                f"addr add {machine.address}/24 dev {machine.name}",
                f"link set {machine.name} up",
                f"route add default via {other.address}",
            ):
                ip("-n", machine.name, *words.split())
        subprocess.run(["sh", "-c", readme_line("secrets.token_hex")], env=head.environment(), check=True)
        done = head.call("sh", "-c", readme_line("ray start --head"))
        assert done.returncode == 0, done.stdout + done.stderr
        done = node.call("sh", "-c", readme_line("ray start --address").replace("HEAD", head.address))
        assert done.returncode == 0, done.stdout + done.stderr
        yield head, node
    finally:
        for machine in made:
            machine.end()
            ip("netns", "del", machine.name)
        shutil.rmtree(folder, ignore_errors=True)


def test_files_of_a_head_and_of_a_node_lie_where_others_cannot_go(machines: tuple[Machine, Machine]) -> None:
    folders = [machine.temp_dir() for machine in machines]
    assert folders[0] != folders[1]
    for machine, folder in zip(machines, folders, strict=True):
        assert (folder / "session_latest" / "logs").is_dir()
        assert is_private(folder)
        written = files_to_write(machine.pids())
        assert any(folder in path.parents for path in written)
        assert [path for path in written if not is_private(path)] == []


def test_commands_of_a_head_find_its_cluster(machines: tuple[Machine, Machine]) -> None:
    head, _ = machines
    words = ("ray", "status", f"--address={head.address}:6379")  # other Rays of this machine are seen here
    wait_until(lambda: head.call(*words).stdout.count(" node_") == 2, "the node did not join")
    listed = head.call(*TUNE_JOBS, "status", "--format", "csv")
    assert listed.returncode == 0, listed.stderr


def test_second_user_does_not_exchange_the_upload_of_a_job(machines: tuple[Machine, Machine]) -> None:
    """Ray runs it, and uses it again for the next submit of the same files."""
    head, _ = machines
    (head.folder / "job").mkdir()
    (head.folder / "job" / "code.py").write_text("print('mine')\n")
    submit = [
        "ray",
        "job",
        "submit",
        "--address=http://127.0.0.1:8265",
        "--working-dir",
        "job",
        "--",
        "python",
        "code.py",
    ]
    first = head.call(*submit)
    assert first.returncode == 0, first.stdout + first.stderr
    (code,) = head.temp_dir().rglob("_ray_pkg_*/code.py")
    for words in (["cat", str(code)], ["mv", str(code.parent), f"{code.parent}-old"]):
        done = subprocess.run(
            words, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, check=False
        )
        assert done.returncode != 0
        assert b"Permission denied" in done.stderr
    assert "mine" in head.call(*submit).stdout


def test_all_that_listens_is_documented(machines: tuple[Machine, Machine]) -> None:
    """Ports that are not in the table are those of workers, and those that Linux chose."""
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for machine, role in zip(machines, ("head", "node"), strict=True):
        expected = documented(role)
        wait_until(
            lambda m=machine, e=expected: e.keys() <= {found.port for found in listeners(m.pids())},
            f"a port that is documented for a {role} is not there",
        )
        found = listeners(machine.pids())
        other = {listener.port for listener in found} - expected.keys()
        assert [port for port in sorted(other) if port not in OF_WORKERS and not low <= port <= high] == []
        for port, at in expected.items():
            outside = any(listener.port == port and not listener.on_loopback for listener in found)
            assert outside == (at == "the network"), port


def test_what_answers_without_the_token_is_documented(machines: tuple[Machine, Machine]) -> None:
    head, _ = machines
    asked = {8080: "/metrics", 44217: "/metrics", 44227: "/metrics", 8265: "/api/jobs/", 52365: "/api/x"}
    code = (
        "import sys, urllib.error as e, urllib.request as r\n"
        "for place in sys.argv[1:]:\n"
        "    try: print(r.urlopen('http://127.0.0.1:' + place).status)\n"
        "    except e.HTTPError as error: print(error.code)\n"
    )
    done = head.call(sys.executable, "-c", code, *(f"{port}{path}" for port, path in asked.items()))
    got = dict(zip(asked, map(int, done.stdout.split()), strict=True))
    answers = {
        port for port in asked if "**answers**" in SECURITY.partition(f"\n| {port} |")[2].split("\n")[0]
    }
    assert answers == {8080, 44217, 44227}
    assert got == {port: 200 if port in answers else 401 for port in asked}


def test_prometheus_learns_the_nodes_with_the_token(machines: tuple[Machine, Machine]) -> None:
    head, _ = machines
    token = (head.folder / "home" / ".ray" / "auth_token").read_text().strip()
    code = (
        "import sys, urllib.request as r\n"
        "a = r.Request('http://127.0.0.1:8265/api/prometheus/sd', headers={'Authorization': sys.argv[1]})\n"
        "print(r.urlopen(a).read().decode())"
    )
    done = head.call(sys.executable, "-c", code, f"Bearer {token}")
    assert done.returncode == 0, done.stderr
    targets = {target for group in json.loads(done.stdout) for target in group["targets"]}
    assert {f"{machine.address}:8080" for machine in machines} <= targets
    assert head.call(sys.executable, "-c", code, "Bearer no").returncode != 0
