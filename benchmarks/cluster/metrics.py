"""`docker/prometheus.yaml` and `docker/grafana-board.json`, asked of a Prometheus that scrapes a head.

The head, a study and Prometheus are processes of this machine. Prometheus finds the nodes in the two ways
that `docker/prometheus.yaml` names for clusters without containers. Each expression of the board is asked as
Grafana asks it, with every study chosen. Grafana itself is not run.
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
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cluster.findings import ROOT, Findings
from benchmarks.cluster.launcher import answers, free_port
from benchmarks.cluster.waiting import wait_for

CONFIG = ROOT / "docker" / "prometheus.yaml"
BOARD = ROOT / "docker" / "grafana-board.json"
STUDY = "watched"
NEEDS_GPU = re.compile("gpu|gram")
"""Expressions of which a machine without a GPU has no series."""

STEP_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A head with a token, and what Prometheus needs of it."""

    folder: Path
    address: str
    dashboard: str
    environment: dict[str, str]

    @property
    def token(self) -> Path:
        return self.folder / "token"

    @property
    def nodes(self) -> Path:
        """The file in which Ray lists the nodes' metrics ports."""
        return self.folder / "h" / "prom_metrics_service_discovery.json"


def check(findings: Findings) -> None:
    """Start all, then ask what the board asks."""
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing:
        findings.saw("6.0", "prometheus is installed", False, f"not found: {', '.join(missing)}")
        return
    with tempfile.TemporaryDirectory(prefix="tjm", dir="/tmp") as folder, _head(Path(folder)) as head:
        config = _write_config(head)
        for file in (CONFIG, config):
            done = _output("promtool", "check", "config", str(file))
            findings.saw("6.1", f"promtool takes {file.name}", done.returncode == 0, done.stdout)
        with _study(head) as study, _prometheus(config) as url:
            _look_at_targets(findings, url)
            _look_at_board(findings, url)
            study.send_signal(signal.SIGINT)
            study.wait()
            _look_at_the_end(findings, url)


@contextmanager
def _head(folder: Path) -> Iterator[Head]:
    port, dashboard, client, metrics, agent, agent_grpc = (free_port() for _ in range(6))
    token = folder / "token"
    token.write_text("a" * 64)
    token.chmod(0o600)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    words = [f"--port={port}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"]
    words += [f"--metrics-export-port={metrics}", f"--dashboard-agent-listen-port={agent}"]
    words += [f"--dashboard-agent-grpc-port={agent_grpc}", f"--temp-dir={folder}/h", "--num-cpus=2"]
    ray = str(Path(sys.executable).with_name("ray"))
    with _running([ray, "start", "--head", "--block", "--disable-usage-stats", *words], environment):
        wait_for(lambda: answers("127.0.0.1", dashboard), "the head's dashboard is up", seconds=180)
        yield Head(
            folder=folder,
            address=f"127.0.0.1:{port}",
            dashboard=f"http://127.0.0.1:{dashboard}",
            environment=environment,
        )


@contextmanager
def _study(head: Head) -> Iterator[subprocess.Popen[bytes]]:
    """A study that lasts until it is ended."""
    words = [
        "run",
        "digits-recipes",
        "--name",
        STUDY,
        "--store",
        str(head.folder / "trials"),
        "--workers",
        "2",
    ]
    words += ["--trials", "2000", "--address", head.address]
    with _running([sys.executable, "-m", "tune_jobs", *words], head.environment) as process:
        yield process


def _write_config(head: Head) -> Path:
    """The shipped file with this head's nodes, once from Ray's file and once from the dashboard.

    Of the second only `up` is kept, so that each series is there once.
    """
    config = yaml.safe_load(CONFIG.read_text())
    from_dashboard = {
        "url": f"{head.dashboard}/api/prometheus/sd",
        "authorization": {"type": "Bearer", "credentials_file": str(head.token)},
        "refresh_interval": "5s",
    }
    none = [{"source_labels": ["__name__"], "regex": ".*", "action": "drop"}]
    config["scrape_configs"] = [
        {"job_name": "ray", "file_sd_configs": [{"files": [str(head.nodes)]}]},
        {"job_name": "dashboard", "http_sd_configs": [from_dashboard], "metric_relabel_configs": none},
    ]
    file = head.folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@contextmanager
def _prometheus(config: Path) -> Iterator[str]:
    port = free_port()
    words = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={config.parent}/figures"]
    with _running([*words, f"--web.listen-address=127.0.0.1:{port}"], dict(os.environ)):
        wait_for(lambda: answers("127.0.0.1", port), "Prometheus is up", seconds=60)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(words: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, which ends with the block."""
    process = subprocess.Popen(
        words,
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)


def _look_at_targets(findings: Findings, url: str) -> None:
    """Jobs are recognised by their pool: the dashboard gives each node the label `job="ray"` in every job."""
    for job, way in (("ray", "the head's own list"), ("dashboard", "the dashboard, with the token")):

        def up(job: str = job) -> list[str]:
            targets = _get(f"{url}/api/v1/targets")["activeTargets"]
            return [t["scrapeUrl"] for t in targets if t["scrapePool"] == job and t["health"] == "up"]

        found = wait_for(up, f"{job} is up", seconds=180)
        findings.saw(
            "6.2", f"Prometheus scrapes what it learns from {way}", bool(found), f"{len(found)} ports"
        )


def _look_at_board(findings: Findings, url: str) -> None:
    """Each variable and each expression, in an instant and as a range."""
    board = json.loads(BOARD.read_text())
    (asked,) = (v["query"]["query"] for v in board["templating"]["list"] if v["type"] == "query")
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", asked).groups()  # type: ignore[union-attr]  # ours
    path = f"/api/v1/label/{label}/values?" + urllib.parse.urlencode({"match[]": metric})
    studies = wait_for(lambda: _get(url + path), f"{asked} has values", seconds=180)
    findings.saw("6.3", f"the variable: {asked}", studies == [STUDY], studies)
    chosen = f"({'|'.join(studies)})"  # as Grafana writes "All"
    for panel in board["panels"]:
        for target in panel["targets"]:
            _look_at_expression(findings, url, panel["title"], target["expr"].replace("$study", chosen))


def _look_at_expression(findings: Findings, url: str, title: str, expression: str) -> None:
    """Where there is no GPU, an expression of GPUs need only be understood."""
    if NEEDS_GPU.search(expression) and "worker_seconds" not in expression and not _ask(url, expression):
        findings.saw("6.4", f"{title}: no GPU here, so no series: {expression}", True)
        return
    found = wait_for(lambda: _ask(url, expression), f"{expression} has data", seconds=240)
    drawn = _ask(url, expression, last_s=300)
    points = max((len(series["values"]) for series in drawn), default=0)
    shown = "; ".join(f"{_labels(series)} {float(series['value'][1]):.4g}" for series in found[:5])
    findings.saw("6.4", f"{title}: {expression}", bool(found) and points > 0, f"{len(found)} series: {shown}")


def _look_at_the_end(findings: Findings, url: str) -> None:
    """The series of a study end with its driver, so that an ended study is no running one."""
    gone = wait_for(lambda: not _ask(url, "ray_tune_jobs_trials"), "the gauges end", seconds=240)
    kept = _ask(url, "ray_tune_jobs_trials", last_s=900)
    seen = f"{len(kept)} series in the last 15 minutes"
    findings.saw(
        "6.5", "after the run its series end, and the board still draws what was", gone and bool(kept), seen
    )


def _ask(url: str, expression: str, *, last_s: float = 0.0) -> list[dict[str, Any]]:
    """The series of an expression now, or over the last seconds.

    Raises:
        RuntimeError: Prometheus does not understand it.
    """
    words = {"query": expression}
    if not last_s:
        return list(_get(f"{url}/api/v1/query?{urllib.parse.urlencode(words)}")["result"])
    now = float(_get(f"{url}/api/v1/query?query=time()")["result"][1])
    times = {"start": str(now - last_s), "end": str(now), "step": str(STEP_S)}
    return list(_get(f"{url}/api/v1/query_range?{urllib.parse.urlencode({**words, **times})}")["result"])


def _get(address: str) -> Any:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.loads(answer.read())["data"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{address}: {error.read().decode()[:300]}") from error


def _labels(series: dict[str, Any]) -> str:
    return " ".join(value for name, value in series["metric"].items() if name != "__name__")


def _output(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)
