"""A process that times cases, with an allocator of its own: ``python -m eml_models.latency.bench.worker
DEVICE``.

glibc reads its settings when a process starts, so to compare two there must be two processes; `bench` starts
them and asks one after the other. A request is a line of JSON on stdin, its answer one on stdout::

    {"do": "open", "case": {...}}                 {"batch_size": 32, "notes": [], "open_s": 1.2} or
                                                  {"skipped": "why"}, with "lacking": true where the
                                                  device does not have the mode
    {"do": "time", "key": "...", "seconds": 0.3}  {"times": [0.012, ...], "conditions": {...}}
    {"do": "close"}                               {}
    {"do": "ceilings"}                            {"name": ..., "flops": {...}, "bandwidth": [...]}

A case that fails to open is skipped with what failed, whatever that is: a compiler, cuDNN and a driver each
raise errors of their own, and none of them is the other cases' concern. Any other request that fails is
answered by ``{"error": "why"}``. Where the failure has left the GPU unusable to this process, the answer says
``"broken": true`` besides, and the process ends.
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, TextIO

import torch

from eml_models.errors import EmlError, NotCompiledError, UnsupportedModeError, describe_cause
from eml_models.latency.bench.cases import case_from_dict
from eml_models.latency.bench.ceilings import measure_ceilings
from eml_models.latency.bench.steps import Step, build_step
from eml_models.latency.measuring.conditions import read_conditions, require_device
from eml_models.latency.measuring.timing import time_calls, warm_up
from eml_models.request_lines import iter_requests
from eml_models.training.device_errors import is_broken

LEAST_CALLS = 3
"""The least calls of one round; several rounds follow each other."""

RE_WARM_CALLS = 1
"""Before each round: the caches hold another case's data."""


class Server:
    """Answers requests; holds the cases that are open."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._steps: dict[str, Step] = {}

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        match request["do"]:
            case "open":
                return self._open(request["case"])
            case "time":
                step = self._steps[request["key"]]
                with step.settings():
                    for _ in range(RE_WARM_CALLS):
                        step.call()
                    times = time_calls(step.call, self._device, seconds=request["seconds"], least=LEAST_CALLS)
                # a GPU's clock falls within a moment of its last kernel
                return {"times": times, "conditions": asdict(read_conditions(self._device))}
            case "close":
                self._steps.clear()
                _free(self._device)
                return {}
            case "ceilings":
                found = measure_ceilings(self._device)
                # JSON has no infinity
                bandwidth = [[None if math.isinf(size) else size, rate] for size, rate in found.bandwidth]
                return {"name": found.name, "flops": dict(found.flops), "bandwidth": bandwidth}
        raise AssertionError(f"no such request: {request}")

    def _open(self, data: Mapping[str, Any]) -> dict[str, Any]:
        case = case_from_dict(data)
        began = time.perf_counter()
        try:
            step = build_step(case, self._device)
            with step.settings():
                warm_up(step.call, self._device)
        except Exception as error:  # a compiler, cuDNN or a driver may raise anything; see above
            lacking = isinstance(error, UnsupportedModeError) and not isinstance(error, NotCompiledError)
            return {
                "skipped": _describe(error),
                **({"lacking": True} if lacking else {}),
                **_state_of(self._device),
            }
        self._steps[case.key] = step
        return {"batch_size": step.batch_size, "notes": step.notes, "open_s": time.perf_counter() - began}


def main() -> None:
    """Serve until stdin ends."""
    serve(take_stdout(), iter_requests())


def take_stdout() -> TextIO:
    """The stream to the caller. From now on everything that this process prints goes to stderr.

    The descriptor itself is changed, since C++ prints too (ONEDNN_VERBOSE, cuDNN's logs).
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return answers


def serve(answers: TextIO, requests: Iterator[str]) -> None:
    """Answer the requests."""
    device, threads = require_device(sys.argv[1]), int(sys.argv[2])
    if device.index is not None:
        torch.cuda.set_device(device)
    torch.set_num_threads(threads)
    server = Server(device)
    for line in requests:
        try:
            answer = server.answer(json.loads(line))
        except Exception as error:  # the caller can continue with other cases; see above
            answer = {"error": _describe(error), **_state_of(device)}
        print(json.dumps(answer), file=answers, flush=True)
        if answer.get("broken"):
            return


def _describe(error: Exception) -> str:
    """The text of an error: this project's own message, else also the type. A mode that is not available is
    described without its name, since many modes may share the reason."""
    if isinstance(error, UnsupportedModeError):
        return error.reason
    return str(error) if isinstance(error, EmlError) else describe_cause(error)


def _free(device: torch.device) -> None:
    """Give back what closed cases leave behind: compiled code with its graphs' memory, and CUDA's blocks."""
    if "torch._dynamo" in sys.modules:  # else nothing was compiled
        torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _state_of(device: torch.device) -> dict[str, bool]:
    return {"broken": True} if is_broken(device) else {}


if __name__ == "__main__":
    main()
