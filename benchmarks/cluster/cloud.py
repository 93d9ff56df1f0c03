"""`ray up cluster.yaml` with its second autoscaler, on hosts that stand for instances of AWS.

All commands of the file run as they are: on the machine before the container, in it, and the starts. Replaced
are the cloud (`hosts_provider`), its instances' settings, the login, the image, the GPUs and the patience.
A worker comes when a trial waits for one, and goes when nothing has run on it for a while.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cluster.engine import IMAGE, find_engine
from benchmarks.cluster.findings import ROOT, Findings
from benchmarks.cluster.hosts import LOGIN, Hosts, three_hosts
from benchmarks.cluster.launcher import Launcher, make_token, overlay, settled, write_overlaid
from benchmarks.cluster.onpremise import TOKEN
from benchmarks.cluster.waiting import wait_for
from tune_jobs import TrialStore

FILE = "cluster.yaml"
CONTAINER = "tune_jobs"
IDLE_MINUTES = 0.5
PROVIDER = "hosts_provider"
FILLED_IN = {
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
}
"""What Ray adds to a file for AWS by itself, and wants to have of any other provider."""

COMMANDS = (
    "initialization_commands",
    "setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
    "file_mounts",
)


def check(findings: Findings) -> None:
    """The head, a worker that comes, and goes."""
    with three_hosts(find_engine()) as hosts:
        make_token(hosts.home)
        changes = _changes(hosts)
        findings.say(
            f"replaced in {FILE}, and nothing else: {yaml.safe_dump(changes, default_flow_style=True)}"
        )
        kept = yaml.safe_load((ROOT / FILE).read_text())
        findings.say(f"run as they are: {', '.join(name for name in COMMANDS if kept[name])}")
        launcher = write_overlaid(FILE, hosts, changes)
        findings.look_at(
            launcher,
            ("4.1", "ray up", _up),
            ("4.2", "a worker that comes and goes", _scale),
            ("4.3", "ray down", _down),
        )


def _changes(hosts: Hosts) -> dict[str, Any]:
    place = hosts.folder / "provider"
    place.mkdir()
    shutil.copy(Path(__file__).with_name(f"{PROVIDER}.py"), place)
    general = overlay(hosts, IMAGE)
    docker = general["docker"]
    docker["run_options"] += [f"--volume {place}:/opt/provider:ro", "--env PYTHONPATH=/app:/opt/provider"]
    kinds = yaml.safe_load((ROOT / FILE).read_text())["available_node_types"]
    worker = {**kinds["a100"], "resources": {"CPU": 2}, "max_workers": 2, "node_config": {}}
    return {
        "provider": {
            "type": "external",
            "module": f"{PROVIDER}.HostsProvider",
            "head_ip": hosts.hosts[0].address,
            "worker_ips": [host.address for host in hosts.hosts[1:]],
            "head_type": "head",
            "state": str(hosts.folder / "hosts.json"),
            "login": LOGIN,
            "key": str(hosts.key),
        },
        "auth": general["auth"],
        "docker": docker,
        "available_node_types": {"head": {**kinds["head"], "node_config": {}}, "a100": worker},
        "max_workers": 2,
        "idle_timeout_minutes": IDLE_MINUTES,
        **FILLED_IN,
    }


def _up(findings: Findings, launcher: Launcher, item: str) -> None:
    began = time.perf_counter()
    done = launcher.up(PYTHONPATH=str(launcher.hosts.folder / "provider"))
    said = f"{time.perf_counter() - began:.0f} s" if done.returncode == 0 else done.stdout[-600:]
    findings.saw(item, "`ray up` ends with 0", done.returncode == 0, said)
    wait_for(lambda: launcher.num_nodes() == 1, "the head is a node", seconds=60)
    shown = [line for line in _monitor_variables(launcher) if "autoscaler" in line]
    findings.saw(item, "it has the second autoscaler", shown == ["RAY_enable_autoscaler_v2=1"], shown)
    within = launcher.head.docker("exec", CONTAINER, "stat", "-c", "%a %u", TOKEN).stdout.strip()
    findings.saw(item, "the token is for user 1000 alone", within == "600 1000", within)
    owner = launcher.head.call("stat", "-c", "%u", "/mnt/shared").stdout.strip()
    findings.saw(item, "the shared folder is user 1000's", owner == "1000", owner)
    time.sleep(20)
    findings.saw(item, "no worker while nothing waits", launcher.num_nodes() == 1, launcher.num_nodes())


def _monitor_variables(launcher: Launcher) -> list[str]:
    """The variables of the process that is the autoscaler."""
    for pid in launcher.head.pids():
        place = Path(f"/proc/{pid}")
        if b"/monitor.py" in (place / "cmdline").read_bytes():
            return (place / "environ").read_bytes().decode().split("\0")
    return []


def _scale(findings: Findings, launcher: Launcher, item: str) -> None:
    with launcher.tunnel() as address:
        words = ("submit", "digits-recipes", "--store", "/shared/trials", "--device", "cpu", "--no-wait")
        long = ("--trials", "12", "--workers", "4", "--no-asha", "--epochs", "150")
        done = launcher.tune_jobs(*words, *long, "--address", address)
        findings.saw(item, "a study is submitted", done.returncode == 0, done.stdout[-200:])
        began = time.perf_counter()
        wait_for(lambda: launcher.num_nodes() == 2, "a worker comes", seconds=180)
        first = time.perf_counter() - began
        wait_for(lambda: launcher.num_nodes() == 3, "another comes", seconds=180)
        both = f"after {first:.0f} s the first, after {time.perf_counter() - began:.0f} s the second"
        findings.saw(item, "workers come for the trials that wait", True, both)
        done = launcher.tune_jobs("logs", "digits-recipes", "--follow", "--address", address)
        ended = re.findall(r"\d+/12 trials", done.stdout)
        findings.saw(item, "the study ends with 0", done.returncode == 0, ended[-1:] or done.stdout[-300:])
    states = sorted(TrialStore(launcher.hosts.shared / "trials").trials("digits-recipes")["state"])
    findings.saw(item, "all its trials have ended", len(states) == 12, states)
    began = time.perf_counter()
    wait_for(lambda: launcher.num_nodes() == 1, "idle workers go", seconds=300)
    took = f"{time.perf_counter() - began:.0f} s after the study, with {IDLE_MINUTES} min of patience"
    findings.saw(item, "idle workers go", True, took)
    for host in launcher.hosts.hosts[1:]:
        left = settled(host)
        findings.saw(item, f"{host.name} is free again", not left, left[:4])


def _down(findings: Findings, launcher: Launcher, item: str) -> None:
    words = ("ray", "down", "--yes", str(launcher.file))
    done = launcher.call(*words, PYTHONPATH=str(launcher.hosts.folder / "provider"))
    said = "" if done.returncode == 0 else done.stdout[-600:]
    findings.saw(item, "`ray down` ends with 0", done.returncode == 0, said)
    for host in launcher.hosts.hosts:
        left = settled(host)
        findings.saw(item, f"{host.name} has no container and no process", not left, left[:4])
