"""Asks every port of a host from another one, without the token: what answers is open to the network.

The asking host has the image, whose Python has gRPC. Each port is asked by HTTP, and by a gRPC call that runs
code where it is taken (a task pushed to a worker) or that shows the cluster.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from benchmarks.cluster.engine import IMAGE
from benchmarks.cluster.hosts import Host

METRICS = {8080, 44217, 44227}
"""The ports whose metrics docs/security.md lists as open."""

ASK = """
import json, sys, urllib.error, urllib.request
import grpc
host, found = sys.argv[1], {}
for port in sys.argv[2:]:
    answers = []
    for path in ("/metrics", "/api/jobs/", "/nodes"):
        try:
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=3) as answer:
                answers.append("metrics" if answer.read(2) == b"# " else answer.status)
        except urllib.error.HTTPError as error:
            answers.append(error.code)
        except OSError as error:
            answers.append(type(getattr(error, "reason", error)).__name__)
        except Exception as error:  # whatever a port that knows no HTTP says
            answers.append(type(error).__name__)
    for call in (
        "/ray.rpc.CoreWorkerService/PushTask",
        "/ray.rpc.NodeManagerService/GetNodeStats",
        "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
        "/ray.rpc.JobInfoGcsService/GetAllJobInfo",
        "/ray.rpc.RayletDriver/Init",
        "/ray.rpc.InternalKVGcsService/InternalKVKeys",
        "/ray.rpc.ObjectManagerService/Push",
        "/ray.rpc.ReporterService/GetTraceback",
        "/ray.rpc.LogService/ListLogs",
    ):
        channel = grpc.insecure_channel(f"{host}:{port}")
        try:
            channel.unary_unary(call)(b"", timeout=3)
            answers.append("OK")
        except grpc.RpcError as error:
            answers.append(error.code().name)
        channel.close()
    found[port] = answers
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a port said to somebody without the token.

    Attributes:
        owner: the program that listens.
        http: status codes or errors of /metrics, /api/jobs/ and /nodes.
        grpc: status codes of the calls.
    """

    port: int
    owner: str
    http: tuple[object, ...]
    grpc: tuple[str, ...]

    @property
    def opened(self) -> bool:
        """Whether anything but a refusal came back."""
        return 200 in self.http or "metrics" in self.http or "OK" in self.grpc

    @property
    def is_expected(self) -> bool:
        """Metrics are open where docs/security.md says so; everything else refuses."""
        more = 200 in self.http or "OK" in self.grpc
        return not self.opened or (self.port in METRICS and not more)

    def __str__(self) -> str:
        word = "metrics answer" if self.is_expected and self.opened else "OPEN" if self.opened else "refuses"
        grpc = sorted(set(self.grpc))
        return f"port {self.port} ({self.owner}) {word}: http {list(self.http)}, grpc {', '.join(grpc)}"


def ask_all_ports(host: Host, asking: Host) -> list[Answer]:
    """The answers of all ports that listen on a host beyond its loopback, without its SSH server's."""
    owners = _listening(host)
    ports = [str(port) for port in sorted(owners)]
    # a shell of its own without the variables and the home folder that have the token
    words = ("run", "--rm", "--net=host", "--env", "RAY_AUTH_MODE=disabled", IMAGE, "python", "-c", ASK)
    done = asking.docker(*words, host.address, *ports, timeout=600)
    found = json.loads(done.stdout.splitlines()[-1])
    return [
        Answer(port=int(port), owner=owners[int(port)], http=tuple(said[:3]), grpc=tuple(said[3:]))
        for port, said in found.items()
    ]


def _listening(host: Host) -> dict[int, str]:
    found = {}
    for line in host.call(
        "ss", "--listening", "--tcp", "--numeric", "--processes", "--no-header"
    ).stdout.splitlines():
        address, _, port = line.split()[3].rpartition(":")
        owner = re.search(r'users:\(\("([^"]+)"', line)
        if not address.startswith(("127.", "[::1]")) and port != "22":
            found[int(port)] = owner[1] if owner else "?"
    return found
