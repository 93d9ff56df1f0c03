"""Times many cases, interleaved: each round times every case for a moment, so that what disturbs the machine
disturbs all of them alike.

One worker process an allocator; only one of them works at any time. Used by `campaign` and the benchmarks.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from eml_models.errors import InvalidValueError, WorkerLostError
from eml_models.latency.cases import Allocator, Case
from eml_models.latency.conditions import ALLOCATOR_VARIABLES, KEEPING_MEMORY, Conditions
from eml_models.latency.measure import Measurement, summarise
from eml_models.latency.modes import Precision
from eml_models.latency.roofline import Ceilings
from eml_models.wording import count_of

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProgram:
    """What a measuring process runs: a module that serves as `eml_models.latency.worker` does.

    Attributes:
        first_line: what it is told before any request; empty for nothing.
    """

    module: str = "eml_models.latency.worker"
    first_line: str = ""


PROGRAM = WorkerProgram()
"""Knows the shipped families."""


class Bench:
    """Workers, and the cases that are open in them. A context manager.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        threads: of a worker on a CPU.
        on_progress: told what is being done, in words.
        program: what the workers run.
    """

    def __init__(
        self,
        device: str,
        *,
        threads: int = 1,
        on_progress: Progress = lambda text: None,
        program: WorkerProgram = PROGRAM,
    ) -> None:
        self._device, self._threads, self._on_progress = device, threads, on_progress
        self._program = program
        self._workers: dict[Allocator, _Worker] = {}
        self._opened: dict[str, Case] = {}
        self._answers: dict[str, Mapping[str, Any]] = {}
        self._times: dict[str, list[float]] = {}
        self._stack = ExitStack()
        self.skipped: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def open(self, cases: Iterable[Case]) -> list[Case]:
        """Build, compile and warm up; the cases that the device does not have go to `skipped`, by key.

        Returns:
            The cases that are open, those that were before among them, each once.
        """
        usable = []
        for case in {case.key: case for case in cases}.values():
            if case.key not in self._opened and case.key not in self.skipped:
                self._open(case)
            if case.key in self._opened:
                usable.append(case)
        return usable

    def time(self, cases: Iterable[Case], *, rounds: int, seconds: float) -> None:
        """Time open cases in rounds; what was timed before stays."""
        cases = list(cases)
        for number in range(1, rounds + 1):
            self._on_progress(f"round {number} of {rounds}: {count_of(len(cases), 'timing')}")
            for case in cases:
                request = {"do": "time", "key": case.key, "seconds": seconds}
                self._times.setdefault(case.key, []).extend(self._worker(case).ask(request)["times"])

    def result(self, case: Case) -> Measurement:
        """What was measured of a case so far."""
        answer = self._answers[case.key]
        return summarise(
            self._times[case.key],
            mode=case.mode,
            batch_size=answer["batch_size"],
            requested_batch_size=case.batch_size,
            conditions=self._conditions(case),
            notes=answer["notes"],
        )

    def close_cases(self) -> None:
        """Free what the open cases hold; their results stay."""
        for worker in self._workers.values():
            worker.ask({"do": "close"})
        self._opened.clear()

    def measure_ceilings(self) -> Ceilings:
        """This machine's ceilings, by a worker that keeps its memory."""
        found = self._worker_of(Allocator.KEEPING).ask({"do": "ceilings"})
        return Ceilings(
            name=found["name"],
            flops={Precision(name): rate for name, rate in found["flops"].items()},
            bandwidth=tuple((math.inf if size is None else size, rate) for size, rate in found["bandwidth"]),
        )

    def _open(self, case: Case) -> None:
        self._on_progress(f"preparing {case.network.name} {case.mode} batch {case.batch_size}")
        answer = self._worker(case).ask({"do": "open", "case": case.as_dict()})
        if "skipped" in answer:
            self.skipped[case.key] = answer["skipped"]
            return
        self._opened[case.key], self._answers[case.key] = case, answer

    def _conditions(self, case: Case) -> Conditions:
        return Conditions(**self._worker(case).ask({"do": "conditions"}))

    def _worker(self, case: Case) -> _Worker:
        return self._worker_of(case.allocator)

    def _worker_of(self, allocator: Allocator) -> _Worker:
        if allocator not in self._workers:
            self._workers[allocator] = self._stack.enter_context(
                _Worker(self._device, self._threads, allocator, self._program)
            )
        return self._workers[allocator]


class _Worker:
    """One worker process; ends with its context."""

    def __init__(self, device: str, threads: int, allocator: Allocator, program: WorkerProgram) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", program.module, device, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_environment(threads, allocator),
        )
        if program.first_line:
            assert self._process.stdin is not None
            self._process.stdin.write(program.first_line + "\n")  # sent with the first request

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            InvalidValueError: the worker refuses it.
            WorkerLostError: it ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerLostError(
                f"the process that measures ended (exit code {self._process.wait()}) at {request}; if it was"
                " killed for its memory, give smaller --batch-sizes"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise InvalidValueError(answer["error"])
        return answer


def _environment(threads: int, allocator: Allocator) -> dict[str, str]:
    """This process's environment and import path with the allocator's settings, and no others of one."""
    kept = {name: value for name, value in os.environ.items() if name not in ALLOCATOR_VARIABLES}
    settings = KEEPING_MEMORY if allocator is Allocator.KEEPING else {}
    return {
        **kept,
        **settings,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
