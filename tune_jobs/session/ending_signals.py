"""SIGINT, SIGTERM and SIGHUP as a request to end in order, for commands that keep their results.

The first signal is noted; a second signal has its usual effect. A signal that comes at once after the first
is the same: GNU ``timeout``, for instance, signals the process and then its group, which the process is in.
A process gets SIGHUP when its terminal is closed; where it is ignored, as below ``nohup``, it stays ignored.
`tune_jobs.on_ray.runner` and the command ``latency`` use it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SAME_S = 0.5
"""Seconds after the first signal in which further ones are the same."""


class EndingSignals:
    """Notes whether a signal of `ENDING` arrived, and which came first. A second has its usual effect.

    Attributes:
        number: the number of the first signal; None before it.
    """

    def __init__(self) -> None:
        self.arrived = False
        self.number: int | None = None
        self._arrived_at = 0.0
        self._usual = {number: signal.getsignal(number) for number in ENDING}
        if self._usual[signal.SIGHUP] is signal.SIG_IGN:
            del self._usual[signal.SIGHUP]
        self._in_main_thread = threading.current_thread() is threading.main_thread()

    def listen(self) -> None:
        """Note the signals from now on, instead of ending. Does nothing outside the main thread: Python
        allows signal handlers only there."""
        if self._in_main_thread:
            for number in self._usual:
                signal.signal(number, self._note)

    def restore(self) -> None:
        """Restore the earlier effect of the signals."""
        if self._in_main_thread:
            for number, handler in self._usual.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.arrived:
            self.number, self._arrived_at = number, time.monotonic()
            self.arrived = True
        elif time.monotonic() - self._arrived_at >= SAME_S:
            signal.signal(number, self._usual[signal.Signals(number)])
            signal.raise_signal(number)


@contextmanager
def ending_signals() -> Iterator[EndingSignals]:
    """Note the signals of `ENDING` inside the block, and restore their earlier effect after it."""
    signals = EndingSignals()
    signals.listen()
    try:
        yield signals
    finally:
        signals.restore()
