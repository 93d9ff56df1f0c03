"""`kubernetes/rayjob.yaml` without a Kubernetes: what KubeRay would run in its pods, run by hand.

Each pod of the file becomes a container with the pod's user, rights, limits and volumes, and with what
KubeRay 1.5 adds: the start of Ray, the token as a variable, the wait for the head, the probes, the commands
of the submitter, and a volume at the folder that Ray shares with KubeRay's autoscaler. That autoscaler, which
asks a Kubernetes for pods, is not run.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cluster.engine import IMAGE, Done, Engine, find_engine
from benchmarks.cluster.findings import ROOT, Findings
from benchmarks.cluster.waiting import wait_for
from tune_jobs import TrialStore

FILE = ROOT / "kubernetes" / "rayjob.yaml"
SHELL = ("/bin/bash", "-c", "--")
RAYLET = "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success"
GCS = "wget --tries 1 -T 10 -q -O- http://localhost:8265/api/gcs_healthz | grep success"
SUBMIT = (
    "if ! ray job status --address {address} {job} >/dev/null 2>&1;"
    " then ray job submit --address {address} --no-wait --submission-id {job} -- {entrypoint}; fi;"
    " ray job logs --address {address} --follow {job}; ray job status --address {address} {job}"
)
JOB = "tune-jobs-check-x7k2p"
GIB = 1024**3
IN_PLACE_OF = (
    ("cifar10-recipes", "digits-recipes"),
    ("--gpus-per-trial 0.25", "--device cpu"),
    ("--workers 8", "--workers 2 --trials 4"),
    (" --download", ""),
)
"""What is replaced in the entrypoint: there is no GPU here, and nothing to fetch from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The cluster of the file.

    Attributes:
        spec: the file's `spec`.
        folder: holds the volumes.
    """

    engine: Engine
    spec: dict[str, Any]
    folder: Path
    name: str
    token: str

    def options(self, pod: dict[str, Any], role: str) -> list[str]:
        """The words of a container that stands for a pod."""
        (container,) = pod["containers"]
        rights, own = pod["securityContext"], container["securityContext"]
        words = ["--user", str(rights["runAsUser"]), "--group-add", str(rights["fsGroup"])]
        words += ["--network", self.name, "--hostname", f"{role}-pod"]
        words += [word for name in own["capabilities"]["drop"] for word in ("--cap-drop", name)]
        words += [] if own["allowPrivilegeEscalation"] else ["--security-opt", "no-new-privileges"]
        limits = container.get("resources", {}).get("limits", {})
        if "memory" in limits:
            words += ["--memory", str(min(_bytes(limits["memory"]), 8 * GIB))]
        if "cpu" in limits:
            words += ["--cpus", str(min(int(limits["cpu"]), os.cpu_count() or 1))]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        for mount in container.get("volumeMounts", ()):
            words += self._volume(volumes[mount["name"]], mount["mountPath"])
        variables = {"RAY_AUTH_MODE": self.spec["rayClusterSpec"]["authOptions"]["mode"]}
        variables |= {"RAY_AUTH_TOKEN": self.token, "RAY_CLOUD_INSTANCE_ID": f"{role}-pod"}
        variables |= {"RAY_NODE_TYPE_NAME": role, "RAY_enable_autoscaler_v2": "1"}
        return words + [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]

    def _volume(self, volume: dict[str, Any], path: str) -> list[str]:
        if volume.get("emptyDir", {}).get("medium") == "Memory":
            return ["--shm-size", str(min(_bytes(volume["emptyDir"]["sizeLimit"]), GIB))]
        return ["--volume", f"{self.make_volume(volume['name'])}:{path}"]

    def make_volume(self, name: str) -> Path:
        """A volume's folder, owned as Kubernetes does for fsGroup."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        os.chown(place, 0, 1000)
        place.chmod(0o2775)
        return place

    def start(self, role: str, options: Sequence[str], command: str) -> str:
        """Start a pod's container with a command of KubeRay."""
        name = f"{self.name}-{role}"
        self.engine.start(name, *options, "--entrypoint", SHELL[0], IMAGE, *SHELL[1:], command)
        return name

    def run(self, options: Sequence[str], command: str) -> Done:
        """Run a container of a pod to its end."""
        return self.engine.run(*options, "--entrypoint", SHELL[0], IMAGE, *SHELL[1:], command)


def check(findings: Findings) -> None:
    """The head, a worker, and the job."""
    engine = find_engine()
    with _cluster(engine) as cluster:
        findings.look_at(
            cluster,
            ("5.1", "the head's pod", _head),
            ("5.2", "a worker's pod", _worker),
            ("5.3", "the submitter's pod", _submitter),
        )


@contextmanager
def _cluster(engine: Engine) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="tune-jobs-pods-"))
    folder.chmod(0o755)
    spec = yaml.safe_load(FILE.read_text())["spec"]
    name = f"tune-jobs-pods-{os.getpid()}"
    engine.output("network", "create", name)
    try:
        yield Cluster(engine=engine, spec=spec, folder=folder, name=name, token=secrets.token_hex(32))
    finally:
        engine.remove(f"{name}-worker", f"{name}-head")
        engine.call("network", "rm", name)
        shutil.rmtree(folder, ignore_errors=True)


def _start_words(group: dict[str, Any], **more: str) -> str:
    """Ray's options, sorted as KubeRay sorts them."""
    words = {"block": "", "dashboard-agent-listen-port": "52365", **group["rayStartParams"], **more}
    return " ".join(f"--{name}={value}" if value else f"--{name}" for name, value in sorted(words.items()))


def _head(findings: Findings, cluster: Cluster, item: str) -> None:
    group = cluster.spec["rayClusterSpec"]["headGroupSpec"]
    pod = group["template"]["spec"]
    options = cluster.options(pod, "head")
    (container,) = pod["containers"]
    options += ["--volume", f"{cluster.make_volume('ray-logs')}:/tmp" + "/ray", "--network-alias", "head-svc"]
    memory = str(_bytes(container["resources"]["limits"]["memory"]))
    words = _start_words(group, memory=memory, **{"no-monitor": ""})
    name = cluster.start("head", options, f"ulimit -n 65536; ray start --head {words}")
    findings.say(f"{item:<4} ray start --head {words}")
    began = time.perf_counter()
    probe = f"{RAYLET} && {GCS}"
    wait_for(lambda: _probe(cluster, name, probe), "the head's probe succeeds", seconds=120)
    took = f"after {time.perf_counter() - began:.0f} s, without the token"
    findings.saw(item, "liveness and readiness of the head succeed", True, took)
    who = cluster.engine.execute(
        name, "sh", "-c", "id; grep -E 'NoNewPrivs|CapEff|Seccomp:' /proc/self/status"
    )
    held = (
        "uid=1000" in who.stdout
        and "NoNewPrivs:\t1" in who.stdout
        and "CapEff:\t0000000000000000" in who.stdout
    )
    findings.saw(item, "it runs as user 1000 without capabilities and without new rights", held, who.stdout)


def _worker(findings: Findings, cluster: Cluster, item: str) -> None:
    (group,) = cluster.spec["rayClusterSpec"]["workerGroupSpecs"]
    options = cluster.options(group["template"]["spec"], "worker")
    done = cluster.run(options, "ray health-check --address head-svc:6379")
    findings.saw(item, "the wait for the head ends with 0", done.returncode == 0, _last(done))
    started = _start_words(group, address="head-svc:6379", **{"num-cpus": "2"})
    findings.say(f"{item:<4} ray start {started}")
    name = cluster.start("worker", options, f"ulimit -n 65536; ray start {started}")
    wait_for(lambda: _probe(cluster, name, RAYLET), "the worker's probe succeeds", seconds=120)
    findings.saw(item, "liveness of the worker succeeds", True)
    joined = wait_for(lambda: _joined(cluster), "the worker joins", seconds=120)
    findings.saw(item, "the worker has joined", True, " ".join(joined.split("---")[-1].split()))


def _joined(cluster: Cluster) -> str:
    """What Ray says of the nodes that have joined, once the worker is among them; empty before."""
    status = ("ray", "status", "--address", "127.0.0.1:6379")
    said = cluster.engine.execute(f"{cluster.name}-head", *status).stdout.partition("Pending")[0]
    return said if "worker" in said or said.count(" node_") == 2 else ""


def _submitter(findings: Findings, cluster: Cluster, item: str) -> None:
    entrypoint = " ".join(cluster.spec["entrypoint"].split())
    for old, new in IN_PLACE_OF:
        if old not in entrypoint:
            raise ValueError(f"the entrypoint has no {old!r}: {entrypoint}")
        entrypoint = entrypoint.replace(old, new)
    findings.say(f"{item:<4} entrypoint, with what is replaced: {entrypoint}")
    pod = cluster.spec["submitterPodTemplate"]["spec"]
    command = SUBMIT.format(address="http://head-svc:8265", job=JOB, entrypoint=entrypoint)
    done = cluster.run(cluster.options(pod, "submitter"), command)
    held = done.returncode == 0 and "succeeded" in done.stdout
    findings.saw(item, "the submitter's commands end with 0, and the job succeeded", held, _last(done))
    states = sorted(TrialStore(cluster.folder / "shared" / "trials").trials()["state"])
    findings.saw(item, "its trials are in the claim's volume", len(states) == 4, states)
    again = cluster.run(cluster.options(pod, "submitter"), command)
    findings.saw(
        item, "a submitter that starts again follows the same job", again.returncode == 0, _last(again)
    )


def _probe(cluster: Cluster, name: str, command: str) -> bool:
    return cluster.engine.execute(name, "bash", "-c", command).returncode == 0


def _last(done: Done) -> str:
    lines = [
        line for line in (done.stdout + done.stderr).splitlines() if line.strip() and "systemd" not in line
    ]
    return " | ".join(lines[-3:])


def _bytes(text: str) -> int:
    return int(text.removesuffix("Gi")) * GIB
