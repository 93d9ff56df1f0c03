"""`ray up cluster-onpremise.yaml` on three hosts: the token, a study, a host that is cut off, `ray down`.

`overlay` of `launcher` says what is replaced in the file. Bad inputs come after it, on hosts that are
made for them.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from benchmarks.cluster.engine import IMAGE, Engine, find_engine
from benchmarks.cluster.findings import Findings
from benchmarks.cluster.hosts import Hosts, three_hosts
from benchmarks.cluster.launcher import (
    CONTAINER,
    Launcher,
    left_behind,
    make_token,
    overlay,
    settled,
    write_overlaid,
)
from benchmarks.cluster.unasked import ask_all_ports
from benchmarks.cluster.waiting import wait_for
from eml_models.errors import EmlError
from tune_jobs import TrialStore

FILE = "cluster-onpremise.yaml"
TOKEN = "/var/lib/ray/.ray/auth_token"
CUT_S = 75.0
"""Ray gives a node up after 63 to 66 s of silence."""

STUDY = ("submit", "digits-recipes", "--store", "/shared/trials", "--device", "cpu")
LONG = ("--no-asha", "--epochs", "400", "--fix", "batch_size=32", "--checkpoint-period", "0")


def check(findings: Findings) -> None:
    """The cluster, then the bad inputs."""
    engine = find_engine()
    with three_hosts(engine) as hosts:
        make_token(hosts.home)
        changes = overlay(hosts, IMAGE)
        findings.say(
            f"replaced in {FILE}, and nothing else: {yaml.safe_dump(changes, default_flow_style=True)}"
        )
        launcher = write_overlaid(FILE, hosts, changes)
        findings.look_at(
            launcher,
            ("2.1", "ray up", _up),
            ("2.2", "the token", _token),
            ("2.3", "a study from outside", _submit),
            ("2.4", "ports, and a host that is cut off", _cut_off),
            ("2.5", "ray down", _down),
        )
        if not os.environ.get("NO_SECOND"):
            with findings.section("2.6", "the second autoscaler"):
                _second_autoscaler(findings, hosts, "2.6")
    bad_inputs(findings, engine)


def _up(findings: Findings, launcher: Launcher, item: str) -> None:
    began = time.perf_counter()
    done = launcher.up()
    said = f"{time.perf_counter() - began:.0f} s" if done.returncode == 0 else done.stdout[-600:]
    findings.saw(item, "`ray up` ends with 0", done.returncode == 0, said)
    num_nodes = wait_for(lambda: launcher.num_nodes() == 3 and 3, "all three are nodes", seconds=180)
    took = f"{num_nodes} nodes after {time.perf_counter() - began:.0f} s"
    findings.saw(item, "every machine that is listed is a node, the head among them", num_nodes == 3, took)
    for host in launcher.hosts.hosts:
        done = host.docker("exec", CONTAINER, "/usr/local/bin/entrypoint.sh", "health")
        findings.saw(item, f"what HEALTHCHECK asks, on {host.name}", done.returncode == 0, done.stdout)


def _token(findings: Findings, launcher: Launcher, item: str) -> None:
    for host in launcher.hosts.hosts:
        within = host.docker("exec", CONTAINER, "stat", "-c", "%a %u", TOKEN).stdout.strip()
        find = "find /tmp -name auth_token -exec stat -c '%a %u %n' {} +"
        outside = host.call("sh", "-c", find).stdout.splitlines()
        held = within == "600 1000" and all(line.startswith("600 1000 ") for line in outside)
        findings.saw(item, f"{host.name}'s token is for user 1000 alone", held, f"{within}; {outside}")
    token = (launcher.hosts.home / ".ray" / "auth_token").read_text().strip()
    commands = [
        Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        for host in launcher.hosts.hosts
        for pid in host.pids()
        if Path(f"/proc/{pid}").exists()
    ]
    shown = sum(token.encode() in command for command in commands)
    findings.saw(item, f"no command line or variable of {len(commands)} processes has it", not shown, shown)


def _ports(findings: Findings, launcher: Launcher, item: str) -> None:
    """Asked from the second worker's host, without the token, while drivers and workers run."""
    asking = launcher.hosts.hosts[2]
    for host in launcher.hosts.hosts[:2]:
        answers = ask_all_ports(host, asking)
        for answer in answers:
            findings.say(f"{item:<4} {answer}")
        bad = [str(answer) for answer in answers if not answer.is_expected]
        what = f"on {host.name}, asked from {asking.name}, only metrics answer without the token"
        findings.saw(item, what, bool(answers) and not bad, bad or f"{len(answers)} ports")


def _submit(findings: Findings, launcher: Launcher, item: str) -> None:
    for name, forwarding in (("ray dashboard", launcher.dashboard), ("ssh -L", launcher.tunnel)):
        with forwarding() as address:
            study = name.split()[0]
            words = (*STUDY, "--name", study, "--trials", "8", "--workers", "4", "--address", address)
            done = launcher.tune_jobs(*words)
            said = "" if done.returncode == 0 else done.stdout[-600:]
            findings.saw(item, f"submit through `{name}` ends with 0", done.returncode == 0, said)
            states = sorted(TrialStore(launcher.hosts.shared / "trials").trials(study)["state"])
            findings.saw(item, "its trials are in the shared folder", len(states) == 8, states)
            used = _hosts_of_attempts(launcher, study)
            findings.saw(item, "it ran on both workers", len(used) == 2, used)
    with launcher.tunnel() as address:
        (launcher.hosts.folder / "nobody").mkdir(exist_ok=True)
        done = launcher.tune_jobs("status", "--address", address, HOME=str(launcher.hosts.folder / "nobody"))
        findings.saw(item, "without the token `status` is refused", done.returncode == 1, done.stdout[-300:])


def _hosts_of_attempts(launcher: Launcher, study: str) -> dict[str, int]:
    """How many attempts each node started."""
    store = TrialStore(launcher.hosts.shared / "trials")
    began = f"kind = 'attempt_started' and study = '{study}'"
    query = f"select node, count(*) as n from events where {began} group by node order by node"
    return {str(row.node): int(row.n) for row in store.sql(query).itertuples()}


def _reporting(launcher: Launcher, study: str) -> int:
    """How many trials of a study have reported and not ended."""
    try:
        store = TrialStore(launcher.hosts.shared / "trials")
        reports = store.reports(study)
        return int(reports["number"].nunique())
    except EmlError:  # there is none yet
        return 0


def _cut_off(findings: Findings, launcher: Launcher, item: str) -> None:
    lost = launcher.hosts.hosts[2]
    with launcher.tunnel() as address:
        words = (*STUDY, "--name", "cut", "--trials", "8", "--workers", "4", *LONG)
        done = launcher.tune_jobs(*words, "--no-wait", "--address", address)
        findings.saw(item, "a long study is submitted", done.returncode == 0, done.stdout[-200:])
        wait_for(lambda: _reporting(launcher, "cut") >= 4, "four trials report", seconds=180)
        _ports(findings, launcher, item)
        lost.cut_off()
        began = time.perf_counter()
        try:
            wait_for(lambda: launcher.num_nodes() == 2, "the cut host is given up", seconds=150)
            gave_up = f"{time.perf_counter() - began:.0f} s"
            time.sleep(max(0.0, CUT_S - (time.perf_counter() - began)))
        finally:
            lost.cut_off(off=False)
        cut = f"{time.perf_counter() - began:.0f} s"
        findings.saw(item, f"{lost.name}, cut off for {cut}, is given up", True, f"after {gave_up}")
        done = launcher.tune_jobs("logs", "cut", "--follow", "--address", address, timeout=1200)
        findings.saw(item, "the study ends with 0", done.returncode == 0, done.stdout[-300:])
    store = TrialStore(launcher.hosts.shared / "trials")
    trials = store.trials("cut")
    states = sorted(trials["state"])
    findings.saw(item, "all its trials are complete", states == ["completed"] * 8, states)
    again = store.sql(
        "select number, count(*) as n from starts where study = 'cut' group by number having n > 1"
    )
    findings.saw(item, "trials of the cut host began again elsewhere", len(again) > 0, again.to_dict("list"))
    wait_for(lambda: launcher.num_nodes() == 3, "the host joins again", seconds=240)
    findings.saw(item, "the host joined again", True)


def _down(findings: Findings, launcher: Launcher, item: str) -> None:
    done = launcher.down()
    said = "" if done.returncode == 0 else done.stdout[-600:]
    findings.saw(item, "`ray down` ends with 0", done.returncode == 0, said)
    for host in launcher.hosts.hosts:
        left = settled(host)
        findings.saw(item, f"{host.name} has no container and no process", not left, left[:6])


def _second_autoscaler(findings: Findings, hosts: Hosts, item: str) -> None:
    """What Ray does where the file's own line does not choose the first one."""
    config = yaml.safe_load((hosts.folder / FILE).read_text())
    lines = [
        line.replace("export RAY_enable_autoscaler_v2=0; ", "") for line in config["head_start_ray_commands"]
    ]
    launcher = write_overlaid(FILE, hosts, {**overlay(hosts, IMAGE), "head_start_ray_commands": lines})
    launcher.up()
    time.sleep(120)
    listed = " ".join(launcher.status().partition("Active:")[2].partition("Recent")[0].split())
    num_nodes = launcher.num_nodes()
    findings.say(f"{item:<4} Ray's second autoscaler, after 120 s: {num_nodes} of 3 nodes: {listed}")
    said = launcher.monitor_log(5000).splitlines()
    for words in ("no longer found", "to satisfy min count"):
        found = [line for line in said if words in line]
        findings.say(f"{item:<4} it says {len(found)} times: {''.join(found[-1:])}")
    launcher.down()
    for host in hosts.hosts:
        settled(host)


def bad_inputs(findings: Findings, engine: Engine) -> None:
    """Each of them on hosts that are made for all but the id of the login."""
    with three_hosts(engine) as hosts:
        token = make_token(hosts.home)
        launcher = write_overlaid(FILE, hosts, overlay(hosts, IMAGE))
        for item, what, look in (
            ("2.b1", "no token", _no_token),
            ("2.b2", "a token that others may read", _open_token),
            ("2.b4", "a host without the shared folder", _no_shared_folder),
            ("2.b5", "a worker whose clock is an hour off", _wrong_clock),
            ("2.b6", "a full disk on a worker", _full_disk),
        ):
            with findings.section(item, what):
                look(findings, launcher, item)
            _end(launcher, token)
    with three_hosts(engine, uid=1001) as hosts:
        make_token(hosts.home)
        launcher = write_overlaid(FILE, hosts, overlay(hosts, IMAGE))
        done = launcher.up()
        held = done.returncode != 0 and "is not readable for user 1000" in done.stdout
        findings.saw(
            "2.b3", "an ssh_user with id 1001: `ray up` ends with 1 and says why", held, _said(done.stdout)
        )


def _end(launcher: Launcher, token: Path) -> None:
    """Take the cluster down and bring the hosts back to what they were."""
    token.chmod(0o600)
    launcher.down()
    for host in launcher.hosts.hosts:
        host.give_options()
        host.docker("rm", "--force", "--all")
        host.call("sh", "-c", "rm -rf /tmp/ray_tmp_mount")
        settled(host)


def _said(text: str) -> str:
    """The lines of a long output that say what went wrong."""
    words = ("token", "chmod", "Give", "Error", "mounted", "rror:", "  -r")
    lines = [line for line in text.splitlines() if any(word in line for word in words)]
    short = [
        line for line in lines if "INFO" not in line and "Running" not in line and "Full command" not in line
    ]
    return " | ".join(short)[:500]


def _no_token(findings: Findings, launcher: Launcher, item: str) -> None:
    kept = launcher.hosts.home / ".ray"
    aside = launcher.hosts.home / ".ray-aside"
    kept.rename(aside)
    try:
        done = launcher.up()
    finally:
        shutil.rmtree(kept, ignore_errors=True)
        aside.rename(kept)
    held = done.returncode != 0
    findings.saw(
        item, "no token: `ray up` does not end with 0", held, _said(done.stdout) or done.stdout[-400:]
    )


def _open_token(findings: Findings, launcher: Launcher, item: str) -> None:
    (launcher.hosts.home / ".ray" / "auth_token").chmod(0o644)
    done = launcher.up()
    held = done.returncode != 0 and "others may read the token" in done.stdout
    findings.saw(item, "a token with mode 0644: `ray up` ends with 1 and says why", held, _said(done.stdout))


def _no_shared_folder(findings: Findings, launcher: Launcher, item: str) -> None:
    spoilt = launcher.hosts.hosts[2]
    spoilt.call("umount", "/mnt/shared")
    try:
        done = launcher.up()
        words = f"{spoilt.name} has no shared folder mounted"
        said = wait_for(
            lambda: [line for line in launcher.monitor_log(5000).splitlines() if words in line],
            "the autoscaler says why",
            seconds=180,
        )
        findings.saw(item, f"{spoilt.name} has no shared folder: the head's log says so", True, said[-1])
        wait_for(lambda: launcher.num_nodes() == 2, "the others are nodes", seconds=120)
        findings.saw(item, "and it is no node, while the others are", True)
        with launcher.tunnel() as address:
            words = (*STUDY, "--name", "two-nodes", "--trials", "3", "--workers", "2", "--address", address)
            done = launcher.tune_jobs(*words)
            used = _hosts_of_attempts(launcher, "two-nodes")
            findings.saw(item, "a study runs on the other worker", done.returncode == 0, used)
    finally:
        spoilt.call("mount", "--bind", f"{launcher.hosts.shared}", "/mnt/shared")


def _wrong_clock(findings: Findings, launcher: Launcher, item: str) -> None:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        findings.say(f"{item:<4} not looked at: libfaketime is not installed")
        return
    options = ("--volume", f"{found[0]}:/opt/libfaketime.so:ro", "--env", "LD_PRELOAD=/opt/libfaketime.so")
    launcher.hosts.hosts[2].give_options(*options, "--env", "FAKETIME=+1h")
    _up(findings, launcher, item)
    now = [host.docker("exec", CONTAINER, "date", "+%H:%M").stdout.strip() for host in launcher.hosts.hosts]
    findings.say(f"{item:<4} the clocks of the containers: {', '.join(now)}")
    _study_on(findings, launcher, item, "clock")
    store = TrialStore(launcher.hosts.shared / "trials")
    query = (
        "select node, min(happened_at) as first, max(happened_at) as last from events where study = 'clock'"
    )
    times = store.sql(f"{query} and kind = 'attempt_started' group by node").astype(str)
    findings.say(f"{item:<4} when its attempts began, by node: {times.to_dict('list')}")


def _study_on(findings: Findings, launcher: Launcher, item: str, name: str) -> None:
    with launcher.tunnel() as address:
        words = (*STUDY, "--name", name, "--trials", "8", "--workers", "4", "--address", address)
        done = launcher.tune_jobs(*words)
        said = done.stdout[-400:] if done.returncode else ""
        findings.saw(item, "a study ends with 0", done.returncode == 0, said)
        states = sorted(TrialStore(launcher.hosts.shared / "trials").trials(name)["state"])
        findings.saw(item, "with all its trials", len(states) == 8, states)
        findings.say(f"{item:<4} attempts by node: {_hosts_of_attempts(launcher, name)}")


def _full_disk(findings: Findings, launcher: Launcher, item: str) -> None:
    """The folder of Ray's files on the second worker has 200 MB, and is filled once the node runs."""
    spoilt = launcher.hosts.hosts[2]
    spoilt.call(
        "sh", "-c", "mkdir -p /run/small && mount -t tmpfs -o size=200m,uid=1000,mode=0700 small /run/small"
    )
    spoilt.give_options("--volume", "/run/small:/var/lib/ray/private")
    try:
        _up(findings, launcher, item)
        fill = "cd /var/lib/ray/private; dd if=/dev/zero of=full bs=1M 2>/dev/null; df -h . | tail -n 1"
        shown = spoilt.docker("exec", CONTAINER, "sh", "-c", fill).stdout
        findings.say(f"{item:<4} {spoilt.name}'s disk: {shown.strip()}")
        with launcher.tunnel() as address:
            words = (*STUDY, "--name", "full", "--trials", "8", "--workers", "4", "--address", address)
            done = launcher.tune_jobs(*words)
            said = [line for line in done.stdout.splitlines() if "No space left" in line]
            held = done.returncode == 0 or any(spoilt.address in line for line in said)
            findings.saw(
                item, "a study ends with 0, or names the node and why", held, (done.returncode, said[-1:])
            )
            spoilt.docker("exec", CONTAINER, "rm", "/var/lib/ray/private/full")
            done = launcher.tune_jobs(*words)
            findings.saw(
                item, "with room again the same command ends with 0", done.returncode == 0, done.stdout[-100:]
            )
    finally:
        spoilt.docker("rm", "--force", CONTAINER)
        spoilt.call("umount", "/run/small")


Look = Callable[[Findings, Launcher, str], None]
__all__ = ["bad_inputs", "check", "left_behind"]
