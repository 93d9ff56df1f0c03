"""A process that trains steps to measure them, as the process that started it sees it.

The other end is `tune_jobs.on_ray.gpus.step_program`. `tune_jobs.on_ray.gpus.side_by_side` uses it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any

from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.gpus.step_program import StepRequest

PROGRAM = "tune_jobs.on_ray.gpus.step_program"
END_S = 10.0
"""Seconds to wait for a killed process to end: a GPU's driver may hold it for ever."""

QUOTED = 400
"""Characters of a process's stderr, from its end, that an error message quotes."""


class StepProcess:
    """A process that trains steps; a context, whose end ends the process.

    Args:
        measures: whether its first answer is to be the load of a step.
    """

    def __init__(self, request: StepRequest, *, measures: bool) -> None:
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=environment(),
        )
        self._answers: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, name="answers", daemon=True).start()
        self.say(request.text(measures=measures))

    def say(self, line: str) -> None:
        """Send a line. A process that has ended does not read it, and its next answer is an error."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()

    def answer(self, limit_s: float) -> dict[str, Any]:
        """The next answer.

        Raises:
            TuneJobsError: there was none in this time, the process has ended, or it answered with an error;
                the message is the reason alone.
        """
        try:
            line = self._answers.get(timeout=max(0.0, limit_s))
        except Empty:
            raise TuneJobsError(f"there was no answer for {limit_s:.3g} s") from None
        if not line:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
            raise TuneJobsError(ending(self._process.returncode, self._stderr))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TuneJobsError(answer["error"])
        return answer

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._answers.put(line)
        self._answers.put("")

    def __enter__(self) -> StepProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._stderr.close()


def environment() -> dict[str, str]:
    """The environment in which a process finds the packages that this one has found."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def ending(code: int | None, stderr: IO[str]) -> str:
    """How a process ended: its exit code, and its last words on stderr."""
    stderr.seek(0)
    words = stderr.read()[-QUOTED:].strip() or "nothing on stderr"
    return f"the process ended with exit code {code}: {words}"
