"""What is seen when a run ends: started in five ways, ended in four.

    python -m benchmarks.endings [--only tmux,pipe] [--output benchmarks/results/endings.md]

A run of a small study is started in tmux, in a pipe, below GNU ``timeout``, in a process group as a service
manager makes it, and as a job of a local cluster with a token. Each ends by itself, or by Ctrl-C, SIGTERM or
SIGKILL. A line of the table has the seconds from the signal to the end of the command, its exit code, its
last line, the processes that were left 3 s later, and how the store says that the run ended. Reads /proc:
Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tune_jobs.errors import StoreError
from tune_jobs.store.reader import TrialStore

STUDY = """
import time
from types import SimpleNamespace

from eml_models import Recipe
from tune_jobs import Float, Space, Study


def fit(recipe, **options):
    for epoch in range(1, 5):
        time.sleep(0.2)
        yield SimpleNamespace(epoch=epoch, val_accuracy=recipe.learning_rate)


def study():
    space = Space(Float("learning_rate", 0.01, 0.1))
    recipe = Recipe(learning_rate=0.1, epochs=4)
    return Study(name="slow", space=space, recipe=recipe, trials=1000, asha=None, fit=fit)
"""
STARTS = ("tmux", "pipe", "timeout", "group", "job")
ENDS = ("end", "Ctrl-C", "SIGTERM", "kill -9")
NUMBERS = {"Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM, "kill -9": signal.SIGKILL}
T = TypeVar("T")
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SETTLE_S = 3.0
LIMIT_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one ending looked like."""

    start: str
    end: str
    seconds: float | None
    code: str
    last_line: str
    left: int
    stored: str

    def row(self) -> str:
        seconds = "" if self.seconds is None else f"{self.seconds:.1f}"
        line = self.last_line.replace("|", "\\|")
        return (
            f"| {self.start} | {self.end} | {seconds} | {self.code} | {self.left} | {self.stored} | {line} |"
        )


@dataclass(slots=True, kw_only=True)
class Run:
    """A started run: its folder, its driver's process, and how to wait for its command."""

    folder: Path
    driver: int
    log: Path
    wait: Callable[[], str]
    signal: Callable[[int], None]

    def store(self) -> TrialStore:
        return TrialStore(self.folder / "trials")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(STARTS), help="comma-separated ways to start")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    seen = []
    for start in options.only.split(","):
        with place(start) as environment:
            for end in ENDS:
                seen.append(look(start, end, environment))
                print(seen[-1].row(), flush=True)
    if options.output:
        options.output.write_text(page(seen))


def look(start: str, end: str, environment: Mapping[str, str]) -> Seen:
    """Start a run, end it, and look."""
    folder = Path(tempfile.mkdtemp(prefix="endings-"))
    try:
        (folder / "slow.py").write_text(STUDY)
        run = START[start](folder, "3" if end == "end" else "1000", environment)
        if end != "end":
            until(lambda: num_trials(run) >= 1, "no trial ended")
        mine = family(run.driver)
        began = time.monotonic()
        if end != "end":
            run.signal(NUMBERS[end])
        code = run.wait()
        seconds = None if end == "end" else time.monotonic() - began
        time.sleep(SETTLE_S)
        seen = Seen(
            start=start,
            end=end,
            seconds=seconds,
            code=code,
            last_line=last_line(run.log, folder),
            left=len([pid for pid in mine if lives(pid)]),
            stored=stored_end(run),
        )
        for pid in mine:  # a job continues without the command that waited for it
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return seen
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# Ways to start.


def words_of(trials: str, *more: str) -> list[str]:
    words = [sys.executable, "-m", "tune_jobs", "run", "slow.py:study", "--store", "trials"]
    return [*words, "--trials", trials, "--workers", "1", "--device", "cpu", *more]


def start_in_tmux(folder: Path, trials: str, environment: Mapping[str, str]) -> Run:
    """Start in a shell of a terminal, so that Ctrl-C is a key. The pane's output goes to a file."""
    name, socket_name = f"endings{secrets.token_hex(4)}", "endings"
    line = " ".join(words_of(trials))
    shell = f"cd {folder}; {line}; echo $? > code; exit"
    tmux = ["tmux", "-L", socket_name]
    subprocess.run(
        [*tmux, "new-session", "-d", "-s", name, "-x", "200", "-y", "50", "bash", "--norc", "-c",
         f"trap : INT; {shell}"],
        env=dict(environment), check=True,
    )  # fmt: skip
    subprocess.run([*tmux, "pipe-pane", "-t", name, f"cat > {folder}/log"], check=True)
    driver = until(lambda: find_driver(folder), "the run did not start")

    def send(number: int) -> None:
        if number == signal.SIGINT:
            subprocess.run([*tmux, "send-keys", "-t", name, "C-c"], check=True)
        else:
            os.kill(driver, number)

    return Run(
        folder=folder, driver=driver, log=folder / "log", signal=send, wait=lambda: read_code(folder / "code")
    )


def start_in_pipe(folder: Path, trials: str, environment: Mapping[str, str]) -> Run:
    """``run | cat``; the signal goes to the driver alone, Ctrl-C to the group as a terminal does."""
    return start_process(folder, words_of(trials), environment, group_for=(signal.SIGINT,))


def start_below_timeout(folder: Path, trials: str, environment: Mapping[str, str]) -> Run:
    """``timeout N run``; SIGTERM comes from ``timeout``, which signals its group."""
    words = ["timeout", "--verbose", "1000", *words_of(trials)]
    return start_process(folder, words, environment, group_for=(signal.SIGINT,), first=True)


def start_in_group(folder: Path, trials: str, environment: Mapping[str, str]) -> Run:
    """Start as a service manager does: each signal goes to every process."""
    return start_process(folder, words_of(trials), environment, to_every_process=True)


def start_process(
    folder: Path,
    words: list[str],
    environment: Mapping[str, str],
    *,
    group_for: tuple[int, ...] = (),
    first: bool = False,
    to_every_process: bool = False,
) -> Run:
    """
    Args:
        group_for: signals that go to the process group.
        first: whether other signals go to the command itself instead of the driver.
        to_every_process: whether all signals go to all processes.
    """
    log = folder / "log"
    with log.open("wb") as output:
        sink = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=output, start_new_session=True)
    process = subprocess.Popen(
        words, cwd=folder, env=dict(environment), start_new_session=True,
        stdout=sink.stdin, stderr=sink.stdin,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert sink.stdin is not None
    sink.stdin.close()
    driver = until(lambda: find_driver(folder), "the run did not start")

    def send(number: int) -> None:
        if to_every_process:
            for pid in family(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        elif number in group_for:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid if first and number != signal.SIGKILL else driver, number)

    def wait() -> str:
        code = process.wait(LIMIT_S)
        sink.wait()
        return str(code)

    return Run(folder=folder, driver=driver, log=log, signal=send, wait=wait)


def start_as_job(folder: Path, trials: str, environment: Mapping[str, str]) -> Run:
    """``submit``, and its command that waits; Ctrl-C and SIGTERM are ``stop``, SIGKILL hits the driver."""
    words = [sys.executable, "-m", "tune_jobs"]
    (folder / "trials").mkdir()
    name = f"slow-{secrets.token_hex(3)}"
    submit = [*words, "submit", "slow.py:study", "--store", str(folder / "trials"), "--trials", trials]
    submit += ["--name", name]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*submit, "--workers", "1", "--device", "cpu"], cwd=folder, env=dict(environment),
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    driver = until(lambda: find_driver(folder, str(folder / "trials")), "the job did not start")

    def send(number: int) -> None:
        if number == signal.SIGKILL:
            os.kill(driver, number)
        elif number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            stop = [*words, "stop", name]
            subprocess.run(stop, cwd=folder, env=dict(environment), check=True, capture_output=True)

    return Run(folder=folder, driver=driver, log=log, signal=send, wait=lambda: str(process.wait(LIMIT_S)))


START: Mapping[str, Callable[[Path, str, Mapping[str, str]], Run]] = {
    "tmux": start_in_tmux,
    "pipe": start_in_pipe,
    "timeout": start_below_timeout,
    "group": start_in_group,
    "job": start_as_job,
}


@contextmanager
def place(start: str) -> Iterator[Mapping[str, str]]:
    """The environment of the runs; for jobs also a cluster with a token."""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # of jobs
    if start != "job":
        yield environment
        return
    temp = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # Ray's sockets need a short path
    head = None
    try:
        (temp / "token").write_text(secrets.token_hex(32))
        port, dashboard, *others = free_ports(6)
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(temp / "token")}
        environment |= {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}
        names = ("ray-client-server-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port",
                 "metrics-export-port")  # fmt: skip
        words = [f"--{name}={number}" for name, number in zip(names, others, strict=True)]
        words += [f"--port={port}", f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1"]
        words += ["--node-ip-address=127.0.0.1", f"--temp-dir={temp}/h", "--num-cpus=2"]
        ray = str(Path(sys.executable).with_name("ray"))
        head = subprocess.Popen(
            [ray, "start", "--head", "--block", *words], env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(lambda: answers(environment), "the cluster did not come up")
        yield environment
    finally:
        if head:
            for pid in family(head.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(temp, ignore_errors=True)


def answers(environment: Mapping[str, str]) -> bool:
    words = [sys.executable, "-m", "tune_jobs", "status"]
    return subprocess.run(words, env=dict(environment), capture_output=True).returncode == 0


def free_ports(count: int) -> list[int]:
    """Free ports below those of Ray's workers."""
    found: list[int] = []
    for port in range(7100 + os.getpid() % 1000, 10000):
        with suppress(OSError), socket.socket() as bound:
            bound.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


# Looking.


def until(holds: Callable[[], T | None], problem: str) -> T:
    began = time.monotonic()
    while time.monotonic() - began < LIMIT_S:
        with suppress(OSError, StoreError):
            if found := holds():
                return found
        time.sleep(0.1)
    raise SystemExit(problem)


def find_driver(folder: Path, word: str = "slow.py:study") -> int | None:
    """The process of the command ``run`` that works in this folder, or has this word."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (path / "cmdline").read_bytes().decode().split("\0")
            here = os.readlink(path / "cwd") == str(folder) or word.startswith(str(folder))
            if "run" in line and word in line and "tune_jobs" in line and here and "timeout" not in line[0]:
                return int(path.name)
    return None


def family(pid: int) -> list[int]:
    """A process, its children, and theirs."""
    found = [pid]
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += family(int(child))
    return found


def lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def num_trials(run: Run) -> int:
    return len(run.store().trials()) if any(run.folder.glob("trials/studies/*/*")) else 0


def stored_end(run: Run) -> str:
    """How the store says that the run ended; for a killed run, nothing."""
    try:
        ends = run.store().events().query("kind == 'session_ended'")["detail"]
    except StoreError:
        return "no store"
    return str(json.loads(ends.iloc[-1])["how"]) if len(ends) else "no end"


def read_code(path: Path) -> str:
    return until(lambda: path.read_text().strip(), "the shell did not write the exit code")


def last_line(log: Path, folder: Path) -> str:
    """The last lines that say something, in short."""
    text = CONTROLS.sub("", log.read_bytes().decode(errors="replace")).replace(str(folder), "FOLDER")
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    shown = " / ".join(lines[-2:]).replace(sys.executable, "python")
    return shown if len(shown) <= 200 else f"{shown[:140]} ... {shown[-50:]}"


def page(seen: list[Seen]) -> str:
    versions = f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    rows = "\n".join(one.row() for one in seen)
    return f"""# How runs end

Made by `python -m benchmarks.endings --output benchmarks/results/endings.md` on {os.cpu_count()} CPU cores
that other work shared ({versions}), one run each. The seconds are from the signal to the end of the
command. "left" counts the processes of the run that live {SETTLE_S:g} s later. "stored" is how the store says
that the run ended. In `pipe` and `timeout` Ctrl-C goes to the process group. In `group` each signal goes to
every process of the run. SIGTERM of a `job` is `stop`, its Ctrl-C goes to the waiting command, and its
`kill -9` hits the driver.

| start | end | seconds | exit code | left | stored | last lines |
| --- | --- | --- | --- | --- | --- | --- |
{rows}
"""


if __name__ == "__main__":
    main()
