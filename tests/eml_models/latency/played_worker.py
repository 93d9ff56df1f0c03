"""A measuring process that plays its answers, without torch: a network's name says what happens to it.

``dies-in-open``, ``dies-in-time``: the process is killed; ``dies-in-answer``: with half a line written;
``hangs``: it says nothing, and so does a process that it has started; ``exits``: it ends with words on
stderr; ``crowded``: it gets a batch of one where another case is open; ``breaks``: the case fails and the
process is of no more use; ``fails-in-time``, ``skips``, ``uncompilable``: what they say.
As on a GPU, a graph ends the process that replays it if a compiler recorded one there after it was captured.

Each ``time`` takes one millisecond more than the one before it in this process. All requests are written down
in the file `PLAYED_LOG`, if there is one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

CONDITIONS = {
    "device": "cpu",
    "device_name": "a CPU",
    "torch_version": "2.14.1",
    "cudnn_version": None,
    "threads": 1,
    "allocator": "default",
    "clock_mhz": None,
    "load_average": None,
}
RECORDING = ("reduce-overhead", "max-autotune")


def main() -> None:
    calls, opened = 0, dict[str, str]()
    damaged = set[str]()
    for line in sys.stdin:
        request, answer = json.loads(line), dict[str, Any]()
        if request["do"] == "open":
            case = request["case"]
            name = case["network"]["name"]
            note(f"open {name} {case['mode']}")
            answer = {"batch_size": case["batch_size"], "notes": [], **play_open(name, case["mode"])}
            words = (name, case["mode"], case["batch_size"], case["source"], case["variant"])
            search = "search" if case["kernel_search"] else "no search"
            if name == "crowded" and opened:
                answer["batch_size"] = 1
            if any(word in case["mode"] for word in RECORDING):
                damaged |= {key for key in opened if "/graph" in key}
            opened[" ".join(map(str, (*words, case["allocator"], search)))] = name
        elif request["do"] == "time":
            calls += 1
            name = opened[request["key"]]
            note(f"time {name}")
            if name == "dies-in-time" or request["key"] in damaged:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = {"times": [calls / 1e3], "conditions": {**CONDITIONS, "clock_mhz": float(calls)}}
            if name == "fails-in-time" and calls > 1:
                answer = {"error": "RuntimeError: CUDA error"}
        elif request["do"] == "ceilings":
            answer = {"name": "played", "flops": {"fp16": 3e14, "bf16": 3e14}, "bandwidth": [[None, 1.5e12]]}
        print(json.dumps(answer), flush=True)


def note(text: str) -> None:
    if path := os.environ.get("PLAYED_LOG"):
        with Path(path).open("a") as log:
            print(text, file=log)


def play_open(name: str, mode: str) -> dict[str, Any]:
    """What an answer holds besides or instead of the usual."""
    if name == "dies-in-open":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "dies-in-answer":
        print('{"batch_size": 1, "no', end="", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "hangs":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        note(f"child {child.pid}")
        signal.pause()
    if name == "exits":
        print("one\ntwo\nlibcuda.so is too old\nupdate\nthe driver", file=sys.stderr)
        sys.exit(3)
    if name == "breaks":
        return {"skipped": "RuntimeError: CUDA error", "broken": True}
    if name == "skips":
        return {"skipped": "there is none"}
    if name == "uncompilable" and any(word in mode for word in (*RECORDING, "compile")):
        return {"skipped": "the model cannot be compiled: KeyError"}
    return {}


if __name__ == "__main__":
    main()
