"""`docker/compose.yaml`, started: a head, two workers, a job from outside, and Prometheus with real figures.

Then a head of another version. COMPOSE has the words of the program (`podman-compose` beside podman).
Prometheus is a program of this machine, run in the containers' network with `docker/prometheus.yaml`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cluster.engine import IMAGE, VERSION, Done, Engine, find_engine
from benchmarks.cluster.findings import ROOT, Findings
from benchmarks.cluster.launcher import free_port, make_token
from benchmarks.cluster.waiting import wait_for

FILE = ROOT / "docker" / "compose.yaml"
TOKEN = ROOT / "docker" / "token"
USER = 1000
ADDRESS = "http://127.0.0.1:8265"
TWO_WORKERS = "services: {worker: {deploy: {replicas: 2}}}\n"
"""What `--scale worker=2` says; podman-compose 1.0.3 takes that option and does nothing."""

OTHER = "0.2.0"
OTHER_RAY = "2.59.0"
ASKED = "ray_tune_jobs_trials", "ray_tune_jobs_best_objective", "ray_node_cpu_utilization"


def check(findings: Findings) -> None:
    """The cluster of containers, then heads that are not as they should be."""
    engine = find_engine()
    with _token() as token:
        for item, what, look in (
            ("3.1", "compose", _cluster),
            ("3.b1", "a token that others may read", _open_token),
            ("3.b2", "a token of another user", _foreign_token),
            ("3.b3", "an image of another version", _other_version),
        ):
            with findings.section(item, what):
                look(findings, engine, token, item)


@contextmanager
def _token() -> Iterator[Path]:
    """The token where compose.yaml looks for it, for the containers' user alone."""
    if TOKEN.exists():
        raise SystemExit(f"{TOKEN} is there already: move it away first")
    with tempfile.TemporaryDirectory(prefix="tune-jobs-compose-") as home:
        try:
            shutil.copy(make_token(Path(home)), TOKEN)
            TOKEN.chmod(0o600)
            os.chown(TOKEN, USER, USER)
            yield TOKEN
        finally:
            TOKEN.unlink(missing_ok=True)


def _compose(engine: Engine, *words: str) -> Done:
    chosen = "podman-compose" if engine.is_podman else f"{engine.name} compose"
    program = shlex.split(os.environ.get("COMPOSE", chosen))
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(TWO_WORKERS)
        file.flush()
        command = [*program, "--file", str(FILE), "--file", file.name, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def _tune_jobs(*words: str, folder: str, **variables: str) -> Done:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_TOKEN_PATH": str(TOKEN), **variables}
    command = [sys.executable, "-m", "tune_jobs", *words]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )


def _names(engine: Engine) -> list[str]:
    """The containers of compose, the head's first."""
    listed = engine.output("ps", "--all", "--format", "{{.Names}}").split()
    return sorted(name for name in listed if name.startswith(("tune-jobs", "tune_jobs", "docker")))


def _nodes(engine: Engine) -> list[str]:
    return [name for name in _names(engine) if "head" in name or "worker" in name]


def _cluster(findings: Findings, engine: Engine, token: Path, item: str) -> None:
    try:
        done = _compose(engine, "up", "--detach", "--no-build")
        said = "" if done.returncode == 0 else (done.stderr + done.stdout)[-500:]
        findings.saw(
            item, f"`up --detach` with {TWO_WORKERS.strip()} ends with 0", done.returncode == 0, said
        )
        names = _names(engine)
        head = next(name for name in names if "head" in name)
        wait_for(lambda: engine.health(head) == "healthy", "the head is healthy", seconds=120)
        count = wait_for(
            lambda: _num_nodes(engine, head) == len(names) and len(names), "all join", seconds=180
        )
        findings.saw(item, "a head and two workers are one cluster", count == 3, ", ".join(names))
        for name in names:
            said = engine.health(name)
            findings.saw(item, f"HEALTHCHECK of {name}", said == "healthy", said)
        _job(findings, engine, head, "3.2")
        _prometheus(findings, engine, "3.3")
    finally:
        for name in _names(engine):
            findings.say(f"{item:<4} {name} restarted {engine.inspect(name).get('RestartCount', 0)} times")
        done = _compose(engine, "down", "--volumes")
        left = _names(engine)
        findings.saw("3.4", "`down --volumes` leaves no container", not left, left)
        engine.remove(*left)


def _num_nodes(engine: Engine, head: str) -> int:
    return engine.execute(head, "ray", "status").stdout.partition("Pending")[0].count(" node_")


def _job(findings: Findings, engine: Engine, head: str, item: str) -> None:
    with tempfile.TemporaryDirectory(prefix="tune-jobs-job-") as folder:
        words = ("submit", "digits-recipes", "--store", "/shared/trials", "--address", ADDRESS)
        done = _tune_jobs(*words, "--trials", "8", "--workers", "4", "--device", "cpu", folder=folder)
        said = "" if done.returncode == 0 else (done.stderr + done.stdout)[-500:]
        findings.saw(item, "a job from outside ends with 0", done.returncode == 0, said)
        query = "select state, count(*) as n from trials group by state"
        listed = engine.execute(head, "python", "-m", "tune_jobs", "query", query, "--format", "csv")
        findings.saw(item, "its rows are in the shared volume", "completed" in listed.stdout, listed.stdout)
        (Path(folder) / "home").mkdir()
        none = {"RAY_AUTH_TOKEN_PATH": "", "HOME": f"{folder}/home", "RAY_AUTH_MODE": "token"}
        done = _tune_jobs("status", "--address", ADDRESS, folder=folder, **none)
        findings.saw(item, "without the token it is refused", done.returncode != 0, done.stderr[-200:])


def _prometheus(findings: Findings, engine: Engine, item: str) -> None:
    """Prometheus beside the containers, while a study runs."""
    program = shutil.which("prometheus")
    if program is None:
        findings.say(f"{item:<4} not looked at: prometheus is not installed")
        return
    network = next(
        iter(engine.inspect(next(n for n in _names(engine) if "head" in n))["NetworkSettings"]["Networks"])
    )
    name = f"tune-jobs-prometheus-{os.getpid()}"
    config = ROOT / "docker" / "prometheus.yaml"
    with tempfile.TemporaryDirectory(prefix="tune-jobs-job-") as folder:
        words = ("submit", "digits-recipes", "--name", "watched", "--store", "/shared/trials", "--no-wait")
        done = _tune_jobs(*words, "--trials", "200", "--workers", "4", "--address", ADDRESS, folder=folder)
        findings.saw(item, "a study to watch is submitted", done.returncode == 0, done.stderr[-200:])
        try:
            mounts = (
                "--volume",
                f"{program}:/opt/prometheus:ro",
                "--volume",
                f"{config}:/opt/prometheus.yaml:ro",
            )
            started = (
                "/opt/prometheus",
                "--config.file=/opt/prometheus.yaml",
                "--storage.tsdb.path=/tmp/figures",
            )
            engine.start(name, "--network", network, *mounts, IMAGE, *started)
            up = wait_for(
                lambda: len(_ask(engine, name, "up == 1")) == 3 and 3, "it scrapes all", seconds=120
            )
            findings.saw(
                item, "Prometheus scrapes the head and both workers", up == 3, _ask(engine, name, "up")
            )
            for series in ASKED:
                found = wait_for(lambda s=series: _ask(engine, name, s), f"it has {series}", seconds=120)
                findings.saw(item, series, True, found[:4])
        finally:
            engine.remove(name)
            _tune_jobs("stop", "watched", "--address", ADDRESS, folder=folder)


def _ask(engine: Engine, name: str, query: str) -> list[str]:
    """The answers of Prometheus: each series' labels that distinguish it, and its value."""
    # wget takes no spaces
    url = f"http://127.0.0.1:9090/api/v1/query?query={query.replace(' ', '%20').replace('==', '%3D%3D')}"
    done = engine.execute(name, "wget", "--quiet", "--output-document=-", url)
    try:
        results = json.loads(done.stdout)["data"]["result"]
    except (ValueError, KeyError):
        return []
    return [f"{_labels(found['metric'])} {found['value'][1]}" for found in results]


def _labels(metric: dict[str, str]) -> str:
    return " ".join(metric[name] for name in ("instance", "state", "study") if name in metric)


def _head_with(engine: Engine, *options: str) -> Iterator[tuple[str, str]]:
    """Start a head with these options; yields its name and the address of its jobs."""
    name, port = f"tune-jobs-head-{os.getpid()}", free_port()
    published = ("--publish", f"127.0.0.1:{port}:8265", "--env", "DASHBOARD_HOST=0.0.0.0")
    token = ("--volume", f"{TOKEN}:/run/token:ro", "--env", "RAY_AUTH_TOKEN_PATH=/run/token")
    try:
        engine.start(name, *published, *token, "--shm-size", "1g", *options, IMAGE, "head")
        yield name, f"http://127.0.0.1:{port}"
    finally:
        engine.remove(name)


def _refused(findings: Findings, engine: Engine, item: str, what: str, words: str) -> None:
    token = ("--volume", f"{TOKEN}:/run/token:ro", "--env", "RAY_AUTH_TOKEN_PATH=/run/token")
    done = engine.run(*token, IMAGE, "head", timeout=60)
    held = done.returncode == 2 and words in done.stderr
    said = [line for line in done.stderr.splitlines() if "systemd" not in line]
    findings.saw(item, f"{what}: the head ends with 2 and says why", held, " | ".join(said))


def _open_token(findings: Findings, engine: Engine, token: Path, item: str) -> None:
    token.chmod(0o644)
    _refused(findings, engine, item, "a token with mode 0644", "others may read the token")
    token.chmod(0o600)


def _foreign_token(findings: Findings, engine: Engine, token: Path, item: str) -> None:
    os.chown(token, USER + 1, USER + 1)
    _refused(findings, engine, item, "a token of user 1001", "is not readable for user 1000")
    os.chown(token, USER, USER)


def _other_version(findings: Findings, engine: Engine, token: Path, item: str) -> None:
    """Images that are of another version: of tune-jobs, and of Ray."""
    package = f"/app/tune_jobs-{VERSION}.dist-info/METADATA"
    ray = "/opt/tune-jobs/lib/python3.11/site-packages/ray/_version.py"
    for what, path, ours, theirs in (
        ("tune-jobs", package, f"Version: {VERSION}", f"Version: {OTHER}"),
        ("Ray", ray, "", OTHER_RAY),
    ):
        with tempfile.TemporaryDirectory(prefix="tune-jobs-other-") as folder:
            text = engine.run("--entrypoint", "cat", IMAGE, path).stdout
            ours = ours or text.partition('version = "')[2].partition('"')[0]
            (Path(folder) / "file").write_text(text.replace(ours, theirs, 1))
            os.chmod(folder, 0o755)
            with contextmanager(_head_with)(engine, "--volume", f"{folder}/file:{path}:ro") as (
                name,
                address,
            ):
                wait_for(lambda n=name: engine.health(n) == "healthy", "the head is healthy", seconds=120)
                words = ("submit", "digits-recipes", "--store", "/shared/trials", "--address", address)
                (Path(folder) / "work").mkdir()
                done = wait_for(
                    lambda w=words, f=folder: _answered(_tune_jobs(*w, folder=f"{f}/work")),
                    "the jobs' address answers",
                    seconds=120,
                )
                said = done.stderr + done.stdout
                wanted = (OTHER, VERSION) if what == "tune-jobs" else (OTHER_RAY, "2.60.0")
                held = done.returncode != 0 and all(version in said for version in wanted)
                line = [line for line in said.splitlines() if wanted[0] in line]
                findings.saw(
                    item, f"another version of {what}: `submit` says both", held, line or said[-400:]
                )


def _answered(done: Done) -> Done | None:
    """The outcome, unless the head's jobs do not answer yet."""
    return None if "no Ray dashboard answers" in done.stderr else done
