"""Times many cases, interleaved: each round times every case for a moment, so that what disturbs the machine
disturbs all of them alike.

One worker process an allocator and setting of cuDNN's search; only one of them works at any time. A case that
fails takes nothing else with it: it is skipped with the reason, what was timed before is kept, and where it
ended its process the others are opened anew in a fresh one. Used by `investigation`.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from eml_models.errors import WorkerLostError
from eml_models.latency.cases import Allocator, Case, usual_allocator
from eml_models.latency.conditions import ALLOCATOR_VARIABLES, KEEPING_MEMORY, Conditions
from eml_models.latency.measure import Measurement, summarise
from eml_models.latency.modes import Precision
from eml_models.latency.roofline import Ceilings
from eml_models.wording import count_of

Progress = Callable[[str], None]

WorkerKind = tuple[Allocator, bool]
"""What a process has once and for all: glibc reads its settings when a process starts, and cuDNN's plans stay
in one cache, by shape: with the search on, those that were made without it are replayed, and the reverse."""


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

PATIENCE_S = 1800.0
"""For an answer: a compiler at its most thorough takes minutes, and a process that hangs would for ever."""

QUOTED_LINES = 3
"""The last ones of what a process wrote to stderr before it ended."""


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
        self._workers: dict[WorkerKind, _Worker] = {}
        self._broken: dict[WorkerKind, str] = {}
        self._opened: dict[str, Case] = {}
        self._answers: dict[str, Mapping[str, Any]] = {}
        self._times: dict[str, list[float]] = {}
        self._conditions: dict[str, Conditions] = {}
        self._failed: dict[str, str] = {}
        self._stack = ExitStack()
        self.skipped: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def open(self, cases: Iterable[Case]) -> list[Case]:
        """Build, compile and warm up; the cases that the device does not have, and those that fail, go to
        `skipped`, by key.

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
        """Time open cases in rounds; what was timed before stays.

        A case that fails is left out from then on; it is in `skipped` unless it was timed before.
        """
        cases = list(cases)
        for number in range(1, rounds + 1):
            self._on_progress(f"round {number} of {rounds}: {count_of(len(cases), 'timing')}")
            cases = [case for case in cases if self._time(case, seconds)]

    def result(self, case: Case) -> Measurement:
        """What was measured of a case so far; its conditions are those of its last round."""
        answer = self._answers[case.key]
        return summarise(
            self._times[case.key],
            mode=case.mode,
            batch_size=answer["batch_size"],
            requested_batch_size=case.batch_size,
            conditions=self._conditions[case.key],
            notes=[*answer["notes"], *([reason] if (reason := self._failed.get(case.key)) else [])],
        )

    def was_timed(self, case: Case) -> bool:
        """Whether there is a `result` of it."""
        return bool(self._times.get(case.key))

    def close_cases(self) -> None:
        """Free what the open cases hold; their results stay."""
        for kind, worker in list(self._workers.items()):
            try:
                worker.ask({"do": "close"})
            except WorkerLostError as error:
                self._drop(kind, str(error))
            worker.opened.clear()
        self._opened.clear()

    def measure_ceilings(self) -> Ceilings:
        """This machine's ceilings, by a worker as most cases have it.

        Raises:
            WorkerLostError: they could not be measured.
        """
        found = self._worker_of((usual_allocator(self._device), True)).ask({"do": "ceilings"})
        return Ceilings(
            name=found["name"],
            flops={Precision(name): rate for name, rate in found["flops"].items()},
            bandwidth=tuple((math.inf if size is None else size, rate) for size, rate in found["bandwidth"]),
        )

    def _open(self, case: Case) -> bool:
        self._on_progress(f"preparing {case.network.name} {case.mode} batch {case.batch_size}")
        answer = self._ask(case, {"do": "open", "case": case.as_dict()})
        if answer is None:
            return False
        if "skipped" in answer:
            self._skip(case, answer["skipped"])
            return False
        before = self._answers.get(case.key, answer)
        if answer["batch_size"] != before["batch_size"]:  # a fresh process may have more memory, or less
            self._times.pop(case.key, None)
        self._opened[case.key], self._answers[case.key] = case, answer
        self._workers[_kind(case)].opened.add(case.key)
        return True

    def _time(self, case: Case, seconds: float) -> bool:
        """Whether it was timed; one that was open in a process that ended is opened anew first."""
        worker = self._workers.get(_kind(case))
        if (worker is None or case.key not in worker.opened) and not self._open(case):
            return False
        answer = self._ask(case, {"do": "time", "key": case.key, "seconds": seconds})
        if answer is None:
            return False
        self._times.setdefault(case.key, []).extend(answer["times"])
        self._conditions[case.key] = Conditions(**answer["conditions"])
        return True

    def _ask(self, case: Case, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer of a case's worker; None if there is none, and then the case is skipped."""
        answer, reason = None, "the process that measures is of no more use"
        try:
            answer = self._worker_of(_kind(case)).ask(request)
        except WorkerLostError as error:
            reason = str(error)
            self._skip(case, reason)
        worker = self._workers.get(_kind(case))
        if worker is not None and worker.ended:
            self._drop(_kind(case), reason)
        return answer

    def _skip(self, case: Case, reason: str) -> None:
        """Note why a case is timed no further."""
        self._opened.pop(case.key, None)
        if self.was_timed(case):
            self._failed[case.key] = f"it failed in a later round: {reason}"
        else:
            self.skipped[case.key] = reason

    def _drop(self, kind: WorkerKind, reason: str) -> None:
        """Let the next request start a fresh process, unless this one could not even begin."""
        if self._workers.pop(kind).could_not_begin:
            self._broken[kind] = reason

    def _worker_of(self, kind: WorkerKind) -> _Worker:
        if kind in self._broken:
            raise WorkerLostError(self._broken[kind])
        if kind not in self._workers:
            self._workers[kind] = self._stack.enter_context(
                _Worker(self._device, self._threads, kind[0], self._program)
            )
        return self._workers[kind]


def _kind(case: Case) -> WorkerKind:
    return case.allocator, case.kernel_search


class _Worker:
    """One worker process; ends with its context.

    Attributes:
        opened: keys of the cases that it holds.
        has_answered: at least once.
        ended: whether it is known to have ended, or to be about to.
    """

    def __init__(self, device: str, threads: int, allocator: Allocator, program: WorkerProgram) -> None:
        self.opened: set[str] = set()
        self.has_answered = self.ended = self._gave_up = False
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # `__exit__` closes it
        self._process = subprocess.Popen(
            [sys.executable, "-m", program.module, device, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
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
        with suppress(BrokenPipeError):  # of a request that a process that ended has not read
            self._process.communicate()
        self._stderr.close()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            WorkerLostError: it failed at it, or ended; what was asked, and why.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        patience = threading.Timer(PATIENCE_S, self._give_up)
        patience.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            patience.cancel()
        if not line.endswith("\n"):  # nothing, or what it had written of a line when it was killed
            self.ended = True
            raise WorkerLostError(f"the process that measures ended ({self._last_words()})")
        self.has_answered = True
        answer: dict[str, Any] = json.loads(line)
        self.ended = answer.get("broken", False)
        if "error" in answer:
            raise WorkerLostError(answer["error"])
        return answer

    @property
    def could_not_begin(self) -> bool:
        """Whether it ended by itself before any answer, as each of its kind would; a first case that has it
        killed is another matter."""
        return not self.has_answered and (self._process.poll() or 0) > 0

    def _give_up(self) -> None:
        self._gave_up = True
        self._process.kill()

    def _last_words(self) -> str:
        """How it ended, and what it wrote last."""
        code = self._process.wait()
        if self._gave_up:
            return f"it was ended, having said nothing for {PATIENCE_S:g} seconds"
        # a signal: the kernel's, when memory runs out, or that of a crash
        killed = f"killed by signal {-code}; if that was for its memory, give smaller --batch-sizes"
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return ": ".join(
            [killed if code < 0 else f"exit code {code}", " ".join(lines[-QUOTED_LINES:])]
        ).rstrip(": ")


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
