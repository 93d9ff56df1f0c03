"""The image: built, and looked at in containers of it. No GPU and no cluster is needed."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas

from benchmarks.cluster.engine import IMAGE, VERSION, Engine, find_engine
from benchmarks.cluster.findings import Findings
from benchmarks.cluster.waiting import wait_for
from tune_jobs import TrialStore
from tune_jobs.on_ray.jobs.secret_names import is_secret

USER = 1000
SEARCH = ("local", "run", "digits-recipes", "--trials", "4", "--workers", "2")
READ_ONLY = ("--read-only", "--tmpfs", "/tmp", "--volume", "/var/lib/ray")
"""What a container with a root that cannot be written needs; docker/README.md has the same words."""

OF_DEBIAN = (
    *("usr/share/", "usr/lib/", "usr/bin/", "usr/sbin/", "var/lib/dpkg/", "var/cache/debconf/"),
    *("etc/pam.d/", "var/lib/pam/", "etc/passwd", "etc/shadow", "etc/gshadow"),
)
"""Where the base image and its packages keep files with names like `passwd`."""


def check(findings: Findings) -> None:
    """Build the image unless NO_BUILD is set, and look at it."""
    engine = find_engine()
    findings.say(engine.output("--version"))
    if not os.environ.get("NO_BUILD"):
        began = time.perf_counter()
        done = engine.build()
        took = f"{time.perf_counter() - began:.0f} s"
        if not findings.saw("1.1", "the image builds", done.returncode == 0, took):
            findings.say(done.stderr[-3000:])
            return
    findings.look_at(
        engine,
        ("1.2", "a search in a container", _search),
        ("1.3", "a search in a container that cannot write its root", _read_only_search),
        ("1.4", "health of head, worker and search", _health),
        ("1.5", "what is in the image", _contents),
        ("1.6", "what everybody may write", _open_to_write),
        ("1.7", "sizes", _sizes),
    )


@contextmanager
def _shared_folder() -> Iterator[Path]:
    """A folder that the container's user may write."""
    with tempfile.TemporaryDirectory(prefix="tune-jobs-image-") as made:
        os.chmod(made, 0o777 | 0o1000)
        yield Path(made)


def _search(findings: Findings, engine: Engine, item: str) -> None:
    with _shared_folder() as folder:
        done = engine.run("--volume", f"{folder}:/shared", IMAGE, *SEARCH)
        said = "" if done.returncode == 0 else done.stderr[-600:]
        findings.saw(item, "run digits-recipes with 4 trials ends with 0", done.returncode == 0, said)
        _read_store(findings, item, folder / "trials")
        owners = {path.stat().st_uid for path in folder.rglob("*")}
        findings.saw(item, f"all files of the store are user {USER}'s", owners == {USER}, owners)
    code = "from tune_jobs import TrialStore; import tune_jobs; print(tune_jobs.__version__)"
    done = engine.run(IMAGE, "python", "-c", code)
    findings.saw(item, "Python has its public names and version", done.stdout.strip() == VERSION, done.stdout)
    done = engine.run(IMAGE, "id")
    findings.saw(item, f"a container runs as user {USER}", f"uid={USER}" in done.stdout, done.stdout)


def _read_store(findings: Findings, item: str, store: Path) -> None:
    trials = TrialStore(store).trials()
    ended = sorted(trials["state"])
    findings.saw(item, "the store is read outside", len(trials) == 4, f"{len(trials)} trials, {ended}")
    files = [path for path in store.rglob("*.parquet") if path.stat().st_size]
    rows = sum(len(pandas.read_parquet(path)) for path in files)
    findings.saw(item, "pandas alone reads its files", rows > 0, f"{rows} rows in {len(files)} files")


def _read_only_search(findings: Findings, engine: Engine, item: str) -> None:
    with _shared_folder() as folder:
        done = engine.run(*READ_ONLY, "--volume", f"{folder}:/shared", IMAGE, *SEARCH)
        said = "" if done.returncode == 0 else done.stderr[-600:]
        findings.saw(item, f"run with {' '.join(READ_ONLY)} ends with 0", done.returncode == 0, said)
        _read_store(findings, item, folder / "trials")


def _health(findings: Findings, engine: Engine, item: str) -> None:
    """Each role is asked by HEALTHCHECK; a head whose store of the cluster stands still is ill."""
    with _cluster(engine, ()) as (head, worker):
        _healthy(findings, engine, item, head, worker)
        with _shared_folder() as folder:
            searching = f"{head}-search"
            words = ("--volume", f"{folder}:/shared", IMAGE, *SEARCH[:3], "--trials", "60", "--workers", "2")
            try:
                engine.start(searching, *words)
                wait_for(lambda: list(folder.rglob("*reports*")), "the search trains", seconds=120)
                said = engine.health(searching)
                findings.saw(item, "HEALTHCHECK of a search", said == "healthy", said)
            finally:
                engine.remove(searching)
        stopped = "for p in /proc/[0-9]*; do grep -qsx gcs_server $p/comm && kill -STOP ${p#/proc/}; done"
        engine.execute(head, "sh", "-c", f"{stopped}; true")
        ill = wait_for(lambda: engine.health(head) != "healthy", "a stopped head is ill", seconds=180)
        findings.saw(item, "a head that stands still is unhealthy", ill)
        engine.call("kill", "--signal", "KILL", head)
    with _cluster(engine, READ_ONLY) as (head, worker):
        findings.say(f"{item:<4} the same with {' '.join(READ_ONLY)}")
        _healthy(findings, engine, item, head, worker)


def _healthy(findings: Findings, engine: Engine, item: str, head: str, worker: str) -> None:
    for role, name in (("head", head), ("worker", worker)):
        began = time.perf_counter()
        wait_for(lambda n=name: engine.health(n) == "healthy", f"{role} is healthy", seconds=120)
        took = f"healthy after {time.perf_counter() - began:.0f} s"
        findings.saw(item, f"HEALTHCHECK of a {role}", True, took)
    nodes = wait_for(lambda: _num_nodes(engine, head) == 2, "the worker joins", seconds=120)
    findings.saw(item, "the worker has joined the head", nodes)


def _num_nodes(engine: Engine, head: str) -> int:
    return engine.execute(head, "ray", "status").stdout.count(" node_")


@contextmanager
def _cluster(engine: Engine, options: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A head and a worker of the image; the worker shares the head's network, and has ports of its own."""
    name = f"tune-jobs-check-{os.getpid()}"
    head, worker = f"{name}-head", f"{name}-worker"
    token = ("--env", f"RAY_AUTH_TOKEN={secrets.token_hex(32)}")
    try:
        engine.start(head, *options, *token, "--env", "NUM_CPUS=0", "--shm-size", "1g", IMAGE, "head")
        wait_for(lambda: engine.health(head) == "healthy", "the head is healthy", seconds=120)
        joined = ("--network", f"container:{head}", "--env", "HEAD_ADDRESS=127.0.0.1:6379")
        ports = ("--dashboard-agent-listen-port=52366",)
        other = ("--env", "METRICS_PORT=8081", "--shm-size", "1g")
        engine.start(worker, *options, *token, *joined, *other, IMAGE, "worker", *ports)
        yield head, worker
    finally:
        engine.remove(worker, head)


def _contents(findings: Findings, engine: Engine, item: str) -> None:
    files = _files(engine)
    code = [path for path in files if "/__pycache__/" not in path]
    kept = [path for path in code if is_secret(path) and not path.startswith(OF_DEBIAN)]
    mine = [path for path in kept if "/site-packages/" not in path]
    findings.saw(item, f"no secret among {len(files)} files", not mine, mine[:10])
    named = [path for path in kept if path not in mine]
    findings.say(f"{item:<4} named like secrets, shipped by packages: {len(named)}: {' '.join(named[:8])}")
    history = engine.output("history", "--no-trunc", IMAGE) + str(engine.inspect(IMAGE)["Config"])
    token = "RAY_AUTH_TOKEN=" in history
    findings.saw(item, "no token in its history, variables and labels", not token)
    caches = [
        path for path in files if path.startswith(("root/.cache", "var/lib/ray/.cache", "var/lib/apt/lists/"))
    ]
    caches += [
        path for path in files if path.startswith("var/cache/apt/") and path.endswith((".deb", ".bin"))
    ]
    findings.saw(item, "no cache of pip and apt", not caches, caches[:10])
    tests = [
        path for path in files if path.startswith("app/") and "/test" in path and "/testing/" not in path
    ]
    findings.saw(item, "no test of ours", not tests, tests[:10])


def _files(engine: Engine) -> list[str]:
    """The paths of all files of the image that hold something, from its root, without the kernel's."""
    find = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -type f -size +0 -print"
    done = engine.run("--user", "0", "--entrypoint", "sh", IMAGE, "-c", find)
    return [line.removeprefix("/") for line in done.stdout.splitlines()]


def _open_to_write(findings: Findings, engine: Engine, item: str) -> None:
    find = (
        "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o"
        " ! -type l -perm -0002 -printf '%y %#m %p\\n'"
    )
    done = engine.run("--user", "0", "--entrypoint", "sh", IMAGE, "-c", find)
    found = done.stdout.splitlines()
    bad = [line for line in found if not line.startswith("d 01777 ")]
    findings.saw(item, "only folders with a sticky bit are everybody's to write", not bad, found)
    find = "find / -xdev -user 1000 ! -path '/proc/*' -printf '%y %#m %p\\n'"
    done = engine.run("--user", "0", "--entrypoint", "sh", IMAGE, "-c", find)
    findings.say(f"{item:<4} its user owns: {'; '.join(done.stdout.splitlines()[:20])}")


def _sizes(findings: Findings, engine: Engine, item: str) -> None:
    size = int(engine.inspect(IMAGE)["Size"]) / 1e9
    findings.saw(item, "size", size < 10, f"{size:.2f} GB")
    shown = engine.output("history", "--format", "{{.Size}}\t{{.CreatedBy}}", IMAGE)
    for line in shown.splitlines():
        number, _, made_by = line.partition("\t")
        if not number.startswith("0"):
            findings.say(f"{item:<4} layer {number:>9}  {' '.join(made_by.split())[:110]}")
    code = (
        "cd /opt/tune-jobs/lib/python*/site-packages; du -xsm * | sort -rn | head -n 16;"
        " du -xscm nvidia/* | sort -rn | head -n 16;"
        " for kind in tests __pycache__; do find . -name $kind -type d -prune -print0 > /tmp/kind;"
        " echo $(du -xscm --files0-from=/tmp/kind | tail -n 1) of $kind; done"
    )
    done = engine.run("--user", "0", "--entrypoint", "sh", IMAGE, "-c", code)
    parts = [" ".join(line.split()) for line in done.stdout.splitlines()]
    findings.say(f"{item:<4} MB by package: {', '.join(parts)}")
