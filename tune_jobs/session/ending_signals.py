"""SIGINT and SIGTERM as a wish to end in order, for commands that keep what they have.

A first signal is noted, a second one has the usual effect. Used by the run of a study and by ``latency``.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class EndingSignals:
    """Whether SIGINT or SIGTERM arrived. A second one has the usual effect."""

    def __init__(self) -> None:
        self.arrived = False
        self._usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._in_main_thread = threading.current_thread() is threading.main_thread()

    def listen(self) -> None:
        """Note the signals instead of dying of them; outside of the main thread Python cannot."""
        if self._in_main_thread and not self.arrived:
            for number in self._usual:
                signal.signal(number, self._note)

    def restore(self) -> None:
        """Put back what the signals did before."""
        if self._in_main_thread:
            for number, handler in self._usual.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.arrived = True
        signal.signal(number, self._usual[signal.Signals(number)])


@contextmanager
def ending_signals() -> Iterator[EndingSignals]:
    """SIGINT and SIGTERM are noted inside."""
    signals = EndingSignals()
    signals.listen()
    try:
        yield signals
    finally:
        signals.restore()
