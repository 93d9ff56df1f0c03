"""How fast a GPU trains here and elsewhere, in at most eight minutes: steps, busy share, start-up, trials.

    python -m benchmarks.gpu.speed [--device cpu --tiny] [--minutes 8] [--only WORD] [--skip WORD]
        [--output FILE]

A part is one way to train one network: ``eager``; ``graph`` (steps replayed as CUDA graphs); ``compiled``
(torch.compile of the network); ``norms`` (torch.compile of each batch norm with its activation); ``plain``
(a PyTorch loop with a DataLoader); ``side_by_side`` (graphs in one, two and four processes at the same time,
as ``--gpus-per-trial auto`` measures them). The parts named ``study`` are the same eight short trials as a
study here, eager and with graphs, and as Ray's own example. Each part has a process of its own, so start-up
includes the imports. A part that fails or takes too long costs its own figures from there on. A figure is
printed as soon as it is known, and FILE is written anew after each part. SIGTERM and Ctrl-C end it with the
table.

Printed of each part: seconds from the start of its process to its first step, steps and images per second of
its last epoch, and the busy share: kernels' time of a step by its duration. n = 1 of each; the busy share is
of steps in a row, without the preparation of images except for ``plain``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    *(
        f"{network} {way}"
        for network in ("mobilenet", "resnet", "small")
        for way in ("eager", "graph", "plain")
    ),
    *("study graph", "study eager", "study ray", "mobilenet side_by_side"),
    *(f"{network} {way}" for network in ("mobilenet", "resnet", "small") for way in ("norms", "compiled")),
)
"""The names of the parts, the most valuable first."""

MINUTES = 8.0
MOST_S = 90.0
"""Seconds of a part."""

LEAST_S = 5.0
"""Seconds that must be left for a part to begin."""

GRACE_S = 5.0
COLUMNS = ("start_up_s", "steps_per_s", "images_per_s", "busy", "execution", "trials_per_gpu_hour")


class Interrupted(Exception):
    """The script was asked to end."""


def measure(name: str, device: str, *, tiny: bool, most_s: float) -> dict[str, Any]:
    """The figures of a part; each is printed when it comes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SPEED_TINY": str(int(tiny))}
    command = [sys.executable, "-m", "benchmarks.gpu.speed_parts", name, device, repr(time.time())]
    known: dict[str, Any] = {}
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        timer = threading.Timer(most_s, _end, args=(process, known))
        timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                _take(name, line, known)
        except Interrupted:
            _end(process, known)
            raise
        finally:
            timer.cancel()
    if process.returncode and "ended" not in known:
        known["failed"] = process.returncode
    return known


def _take(name: str, line: str, known: dict[str, Any]) -> None:
    try:
        found = json.loads(line)
    except ValueError:
        print(f"  {line.rstrip()}", flush=True)  # a library's own words
        return
    known.update(found)
    print(f"  {name}: {json.dumps(found)}", flush=True)


def _end(process: subprocess.Popen[str], known: dict[str, Any]) -> None:
    """End a part with all that it started, its own process first."""
    known["ended"] = "too slow, or asked to end"
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def table(results: dict[str, dict[str, Any]]) -> str:
    """A Markdown table of all parts."""
    lines = [f"| part | {' | '.join(COLUMNS)} | |", "| --- |" + " --- |" * (len(COLUMNS) + 1)]
    for name, known in results.items():
        cells = [_cell(known.get(column)) for column in COLUMNS]
        rest = "failed" if "failed" in known else known.get("ended") or known.get("note") or ""
        lines.append(f"| {name} | {' | '.join(cells)} | {rest} |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def conditions(device: str) -> dict[str, Any]:
    """The card and the versions, asked in a process of its own: this one holds no memory of the card."""
    code = (
        "import json, torch; c = torch.cuda.is_available();"
        " print(json.dumps({'torch': torch.__version__, 'cudnn': torch.backends.cudnn.version(),"
        " 'card': torch.cuda.get_device_name() if c else None}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {"device": device, "cores": os.cpu_count(), "n": 1, **json.loads(done.stdout)}


def _interrupt(*_: object) -> None:
    raise Interrupted


def main() -> None:
    """Measure the parts, one after the other, and print the table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument(
        "--tiny", action="store_true", help="small networks and sets, to see that all of it runs"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="parts with this word")
    parser.add_argument("--skip", action="append", default=[], metavar="WORD", help="no parts with this word")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    ends = time.monotonic() + 60 * options.minutes
    results: dict[str, dict[str, Any]] = {}
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    known = conditions(options.device)
    print(json.dumps(known), flush=True)
    try:
        for name in PARTS:
            words = name.split()
            if (options.only and not set(words) & set(options.only)) or set(words) & set(options.skip):
                continue
            left_s = ends - time.monotonic()
            if left_s < LEAST_S:
                print(f"not begun: {name}", flush=True)
                continue
            results[name] = {}
            results[name] = measure(name, options.device, tiny=options.tiny, most_s=min(MOST_S, left_s))
            if options.output:
                options.output.write_text(json.dumps({**known, "parts": results}, indent=2) + "\n")
    except Interrupted:
        print("asked to end", flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
