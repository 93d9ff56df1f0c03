"""SIGINT and SIGTERM as a request to end in order, for commands that keep their results.

The first signal is noted; a second signal has its usual effect. `tune_jobs.on_ray.runner` and the command
``latency`` use it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class EndingSignals:
    """Notes whether SIGINT or SIGTERM arrived. A second signal has its usual effect."""

    def __init__(self) -> None:
        self.arrived = False
        self._usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._in_main_thread = threading.current_thread() is threading.main_thread()

    def listen(self) -> None:
        """Note the signals from now on, instead of ending. Does nothing outside the main thread: Python
        allows signal handlers only there."""
        if self._in_main_thread and not self.arrived:
            for number in self._usual:
                signal.signal(number, self._note)

    def restore(self) -> None:
        """Restore the earlier effect of the signals."""
        if self._in_main_thread:
            for number, handler in self._usual.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.arrived = True
        signal.signal(number, self._usual[signal.Signals(number)])


@contextmanager
def ending_signals() -> Iterator[EndingSignals]:
    """Note SIGINT and SIGTERM inside the block, and restore their earlier effect after it."""
    signals = EndingSignals()
    signals.listen()
    try:
        yield signals
    finally:
        signals.restore()
