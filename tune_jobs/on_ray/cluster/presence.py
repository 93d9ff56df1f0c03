"""Tells whether the Ray that a run uses still lives: one of our own by its processes, a cluster by its head.

A cluster is judged with patience. A head that refuses connections has lost its control process, which some
clusters start again; a head that does not answer at all may be behind a network that is cut for a moment.
Ray itself takes a head for dead after a minute, and then ends this process without a word of ours, so our
patience is shorter than Ray's. `tune_jobs.on_ray.cluster.connect` calls this. It imports no Ray.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tune_jobs.on_ray.cluster.reaching import split_address
from tune_jobs.on_ray.private import VITAL, abandon_ray, head_patience_s

REFUSED_S = 10.0
"""Seconds for which a head may refuse connections."""

SHARE_OF_PATIENCE = 0.75
"""The part of Ray's own patience for which a head may be silent: 45 of 60 s. Cuts of 20 s are ridden out."""

ASK_PERIOD_S = 1.0
ASK_TIMEOUT_S = 2.0
LOOPBACK = ("127.", "localhost", "[::1]")
"""Beginnings of addresses that other machines cannot reach."""

MIN_ASKED = 3
"""A head is not lost before this number of questions: this process itself may have been stopped meanwhile."""


class Head:
    """The place where a control process listens, asked once a second by opening a connection.

    Attributes:
        num_failed: the number of questions without an answer since the last answer.
        failing_since: the instant of the first of these, of the clock.
    """

    def __init__(self, address: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.address, self._clock = address, clock
        self._ask_at = clock()
        self._problem: OSError | None = None
        self.failing_since, self.num_failed = 0.0, 0

    def ask(self, *, now: bool = False) -> OSError | None:
        """The reason why the head did not answer the newest question; None if it did.

        Args:
            now: whether to ask even if less than a second has passed.
        """
        if now or self._clock() >= self._ask_at:
            began_at = self._clock()
            self._problem = self._connect()
            self._ask_at = self._clock() + ASK_PERIOD_S
            if self._problem is None:
                self.num_failed = 0
            else:
                self.num_failed += 1
                self.failing_since = began_at if self.num_failed == 1 else self.failing_since
        return self._problem

    def _connect(self) -> OSError | None:
        try:
            socket.create_connection(split_address(self.address), timeout=ASK_TIMEOUT_S).close()
        except OSError as error:
            return error
        return None


class OwnRay:
    """A Ray that this process started.

    Attributes:
        folder: the folder that Ray writes to.
        abandoned: whether it may not be called any more.
        dashboard: None: such a Ray has no dashboard.
    """

    dashboard: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder, self.abandoned = folder, False
        self._vital: list[subprocess.Popen[Any]] = []
        self._head: Head | None = None

    def add(self, process: subprocess.Popen[Any]) -> None:
        """Note a process of this Ray."""
        words = process.args if isinstance(process.args, Sequence) else []
        if words and Path(str(words[0])).name in VITAL:
            self._vital.append(process)

    def is_up(self, head: str) -> None:
        """Note the address at which its control process listens from now on."""
        self._head = Head(head)

    def lost(self, *, patient: bool = True) -> str | None:
        """The reason why this Ray cannot be used any more; None if it lives. A dead process stays dead."""
        for process in self._vital:
            if (code := process.poll()) is not None:
                name = Path(str(process.args[0])).name  # type: ignore[index]  # `add` has looked
                how = f"signal {-code} ended it" if code < 0 else f"it ended with exit code {code}"
                return f"Ray on this machine has lost its process {name}: {how}"
        if self._head and isinstance(self._head.ask(), ConnectionRefusedError):  # nobody listens on loopback
            return "Ray on this machine is ending: its control process takes no connections any more"
        return None

    def abandon(self) -> None:
        """Never call this Ray again: calls to it may not return."""
        self.abandoned = True
        abandon_ray()


class JoinedRay:
    """A cluster that this process joined.

    Attributes:
        abandoned: whether it may not be called any more.
        dashboard: HOST:PORT of its dashboard as the head knows it; None if it has none, or if this process
            had joined it before.
    """

    def __init__(
        self, head: str, *, dashboard: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.abandoned, self.dashboard = False, dashboard or None
        self._head, self._clock = Head(head, clock=clock), clock

    def lost(self, *, patient: bool = True) -> str | None:
        """The reason why this cluster cannot be used any more; None if it lives.

        Args:
            patient: whether a head that may come back still counts as living.
        """
        problem = self._head.ask(now=not patient)
        if problem is None:
            return None
        silent_s = SHARE_OF_PATIENCE * head_patience_s()
        allowed_s = min(REFUSED_S, silent_s) if isinstance(problem, ConnectionRefusedError) else silent_s
        failing_s = self._clock() - self._head.failing_since
        if patient and (failing_s < allowed_s or self._head.num_failed < MIN_ASKED):
            return None
        return f"the head of the cluster at {self._head.address} does not answer any more: {problem}"

    def abandon(self) -> None:
        """Never call this cluster again: calls to it may not return."""
        self.abandoned = True
        abandon_ray()


def describe_dashboard(address: str | None) -> str | None:
    """The dashboard that shows a run, in words; None where there is none.

    Args:
        address: HOST:PORT, as the head knows it; a loopback address is one of the head's own machine.
    """
    if address is None:
        return None
    place = " on the machine of the head" if address.startswith(LOOPBACK) else ""
    return f"the Ray dashboard shows this run: http://{address}{place}"
