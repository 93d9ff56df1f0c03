"""One measuring process, as its caller sees it: started, asked line by line, ended.

It leads a process group of its own: Ctrl-C in a terminal reaches its owner alone, which then ends it in
order, and with it the compilers that it has started. `processes` owns these processes.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from eml_models.errors import WorkerLostError
from eml_models.latency.bench.cases import Allocator
from eml_models.latency.bench.ending import Ending
from eml_models.latency.measuring.conditions import ALLOCATOR_VARIABLES, KEEPING_MEMORY


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProgram:
    """The program of a measuring process: a module that serves as `eml_models.latency.bench.worker` does.

    Attributes:
        first_line: a line that it gets before any request; empty for none.
    """

    module: str = "eml_models.latency.bench.worker"
    first_line: str = ""


PROGRAM = WorkerProgram()
"""Knows the shipped families."""

PATIENCE_S = 1800.0
"""Longest wait for an answer: a thorough compiler takes minutes, and a process that hangs never answers."""

LOOK_S = 0.1
"""Time between two looks at whether an answer is still wanted."""

GRACE_S = 5.0
"""Time that a process has to end once it was asked to. A process that waits for a GPU may not hear it."""

QUOTED_LINES = 3
"""Last lines of stderr that are quoted when a process has ended."""


class WorkerProcess:
    """One process; ends with its context.

    Attributes:
        opened: keys of the cases that it holds.
        has_answered: at least once.
        ended: whether it is known to have ended, or to be about to.
    """

    def __init__(
        self, device: str, threads: int, allocator: Allocator, program: WorkerProgram, ending: Ending
    ) -> None:
        self.opened: set[str] = set()
        self.has_answered = self.ended = self._gave_up = False
        self._ending = ending
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # `__exit__` closes it
        self._process = subprocess.Popen(
            [sys.executable, "-m", program.module, device, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            env=_environment(threads, allocator),
            start_new_session=True,
        )
        self._first_line = f"{program.first_line}\n" if program.first_line else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)
        self._signal(signal.SIGKILL)  # what it had started may have outlived it
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            assert stream is not None
            with suppress(BrokenPipeError):  # of a request that a process that ended has not read
                stream.close()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            WorkerLostError: it failed at it, or ended; what was asked, and why.
            EndedError: the campaign is to end; the process is of no more use.
        """
        self._ending.check()
        assert self._process.stdin is not None
        text, self._first_line = self._first_line + json.dumps(request) + "\n", ""
        line = b""
        with suppress(BrokenPipeError):
            self._process.stdin.write(text.encode())
            line = self._read_line()
        if not line.endswith(b"\n"):  # nothing, or what it had written of a line when it was killed
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
        """Whether the process exited with an error before its first answer, as each of its kind would.

        False if it was killed during its first case.
        """
        return not self.has_answered and (self._process.poll() or 0) > 0

    def _read_line(self) -> bytes:
        """What it says until the end of a line, or its own end."""
        assert self._process.stdout is not None
        line, asked = b"", time.perf_counter()
        while not line.endswith(b"\n"):
            if select.select([self._process.stdout], [], [], LOOK_S)[0]:
                data = self._process.stdout.read(1 << 16)
                if not data:
                    break
                line += data
                continue
            self._ending.check()
            if time.perf_counter() - asked > PATIENCE_S:
                self._gave_up = True
                self._signal(signal.SIGKILL)
                break
        return line

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it has started."""
        with suppress(ProcessLookupError, PermissionError):  # of a group that is gone
            os.killpg(self._process.pid, number)

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
