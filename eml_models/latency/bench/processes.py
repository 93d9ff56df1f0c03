"""Times many cases, interleaved: each round times every case for a moment, so that what disturbs the machine
disturbs all of them alike.

A case is built, compiled and warmed up when it is timed first, so that the first numbers are there at once.
There is one worker process for each `WorkerKind`, and only one of them works at any time. A case that fails
is skipped with the reason, and earlier times are kept. If it ended its process, the other cases are opened
again in a new process at their turn, each at most once. Used by `investigation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, NamedTuple, Self

from eml_models.errors import WorkerLostError
from eml_models.latency.bench.cases import Allocator, Case, usual_allocator, usual_search
from eml_models.latency.bench.ending import Ending
from eml_models.latency.bench.pace import Pace, describe_left
from eml_models.latency.bench.worker_process import PROGRAM, WorkerProcess, WorkerProgram
from eml_models.latency.counting.roofline import Ceilings
from eml_models.latency.measuring.conditions import Conditions
from eml_models.latency.measuring.modes import Execution, Precision
from eml_models.latency.measuring.timing import Measurement, summarise

Progress = Callable[[str], None]

RECORDING = (Execution.REDUCE_OVERHEAD, Execution.MAX_AUTOTUNE)
"""Modes in which a compiler records CUDA graphs of its own."""


class WorkerKind(NamedTuple):
    """What a process has once and for all.

    glibc reads its settings when a process starts. cuDNN's plans stay in one cache, by shape: with the search
    on, those that were made without it are replayed, and the reverse. A compiler's graphs clear cuBLAS's
    workspaces and set back the state of torch's allocator for the whole process, so our graphs live
    elsewhere.
    """

    allocator: Allocator
    kernel_search: bool
    compilers_graphs: bool = False


class Bench:
    """Workers, and the cases that are open in them. A context manager.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        threads: CPU threads of a worker.
        on_progress: called with a line of text: the current act, and its number of how many.
        program: the program of the workers.
        ending: says when to stop; `open`, `time` and `measure_ceilings` then raise `EndedError`. Times that
            were measured stay, and a worker's current act is not waited for.
    """

    def __init__(
        self,
        device: str,
        *,
        threads: int = 1,
        on_progress: Progress = lambda text: None,
        program: WorkerProgram = PROGRAM,
        ending: Ending | None = None,
    ) -> None:
        self._device, self._threads, self._on_progress = device, threads, on_progress
        self._program, self._ending = program, ending or Ending()
        self._pace = Pace()
        self._workers: dict[WorkerKind, WorkerProcess] = {}
        self._broken: dict[WorkerKind, str] = {}
        self._opened: dict[str, Case] = {}
        self._answers: dict[str, Mapping[str, Any]] = {}
        self._times: dict[str, list[float]] = {}
        self._conditions: dict[str, Conditions] = {}
        self._failed: dict[str, str] = {}
        self._rebuilt: set[str] = set()
        self._stack = ExitStack()
        self.skipped: dict[str, str] = {}
        self.lacking: set[str] = set()

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
        """Time cases in rounds; what was timed before stays.

        A case that is not open is opened at its turn. A case that fails is left out of later rounds;
        `skipped` has it unless it was timed before.
        """
        cases = list(cases)
        for number in range(1, rounds + 1):
            cases = self.time_once(cases, seconds=seconds, number=number, rounds=rounds)

    def time_once(
        self,
        cases: Iterable[Case],
        *,
        seconds: float,
        number: int = 1,
        rounds: int = 1,
        before: int = 0,
        later: int = 0,
    ) -> list[Case]:
        """One round of `time`, the `number`-th of `rounds`.

        Args:
            before, later: how many other cases are timed before these and after them, in as many rounds.

        Returns:
            The cases that were timed.
        """
        waiting = [case for case in {case.key: case for case in cases}.values() if self._is_usable(case)]
        timed = list[Case]()
        for place, case in enumerate(waiting):
            is_first = case.key not in self._answers
            if number == 1 or place == 0 or not self._is_open(case):
                left = len(waiting) - place
                estimate_s = self._pace.estimate_s(
                    (left if number == 1 else 0) + later,
                    (0 if number == 1 else left) + (rounds - number) * len(waiting) + (rounds - 1) * later,
                    seconds=seconds,
                )
                where = f"{before + place + 1} of {before + len(waiting) + later}"
                self._on_progress(
                    f"round {number} of {rounds}, {where}{describe_left(estimate_s, self._ending.left_s)}:"
                    f" {'timing' if self._is_open(case) else 'preparing'} {case.words}"
                )
            with self._pace.watch(is_first=is_first):
                was_timed = self._time(case, seconds)
            if was_timed:
                timed.append(case)
            if is_first:
                self._on_progress(f"  {self._describe(case)}")
        return timed

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
        found = self._worker_of(WorkerKind(usual_allocator(self._device), usual_search(self._device))).ask(
            {"do": "ceilings"}
        )
        return Ceilings(
            name=found["name"],
            flops={Precision(name): rate for name, rate in found["flops"].items()},
            bandwidth=tuple((math.inf if size is None else size, rate) for size, rate in found["bandwidth"]),
        )

    def _is_usable(self, case: Case) -> bool:
        return case.key not in self.skipped and case.key not in self._failed

    def _is_open(self, case: Case) -> bool:
        worker = self._workers.get(_kind(case))
        return worker is not None and case.key in worker.opened

    def _describe(self, case: Case) -> str:
        """What came of a case's first timing."""
        if self.was_timed(case):
            return f"{case.words}: {self.result(case).median_ms:.4g} ms"
        return f"{case.words}: {self.skipped[case.key]}"

    def _open(self, case: Case) -> bool:
        answer = self._ask(case, {"do": "open", "case": case.as_dict()})
        if answer is None:
            return False
        if "skipped" in answer:
            if answer.get("lacking"):
                self.lacking.add(case.key)
            self._skip(case, answer["skipped"])
            return False
        before = self._answers.get(case.key, answer)
        if answer["batch_size"] != before["batch_size"]:  # a fresh process may have more memory, or less
            self._times.pop(case.key, None)
        self._opened[case.key], self._answers[case.key] = case, answer
        self._workers[_kind(case)].opened.add(case.key)
        return True

    def _open_anew(self, case: Case) -> bool:
        """Open a case whose process ended; a second time it is left as it is."""
        if case.key in self._rebuilt:
            self._skip(case, "the process that measures ended twice, each time at another case")
            return False
        self._rebuilt.add(case.key)
        return self._open(case)

    def _time(self, case: Case, seconds: float) -> bool:
        """Time a case, which is opened first if it is not open; whether it was timed."""
        if not self._is_open(case) and not (
            self._open_anew(case) if case.key in self._opened else self._open(case)
        ):
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

    def _worker_of(self, kind: WorkerKind) -> WorkerProcess:
        if kind in self._broken:
            raise WorkerLostError(self._broken[kind])
        if kind not in self._workers:
            self._workers[kind] = self._stack.enter_context(
                WorkerProcess(self._device, self._threads, kind.allocator, self._program, self._ending)
            )
        return self._workers[kind]


def _kind(case: Case) -> WorkerKind:
    return WorkerKind(case.allocator, case.kernel_search, case.mode.execution in RECORDING)
