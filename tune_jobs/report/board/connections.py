"""Bounds what a client can cost that sends no request: silent connections end, and no log fills.

A server without bounds keeps each silent connection, and at the limit of open files Python writes thousands
of tracebacks a second. Here a connection without an admitted request is closed after some seconds, at once if
there are many, so neither port scans nor browsers that speak TLS leave more than a line. Called by `server`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from aiohttp.http_exceptions import HttpProcessingError

SILENT_S = 20.0
"""Seconds after which a connection without an admitted request is closed."""

MOST_SILENT = 100
"""Most of these connections; above it the oldest are closed at once."""

LOOK_S = 1.0
"""Seconds between two looks at the connections."""

IDLE_S = 75
"""Seconds for which a connection stays open after an answer."""

logger = logging.getLogger(__name__)


class Connection(Protocol):
    """A connection of aiohttp's server."""

    def force_close(self) -> None: ...


class Connections:
    """Closes the connections of a server on which no admitted request comes.

    Args:
        seconds: a clock.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._since: dict[Connection, float] = {}
        self._heard: set[Connection] = set()

    def hear(self, connection: Connection) -> None:
        """An admitted request has come by a connection."""
        self._heard.add(connection)

    def close_silent(self, opened: Iterable[Connection]) -> None:
        """Close those that are silent for too long, and the oldest of too many.

        Args:
            opened: the connections that are open now.
        """
        now = self._seconds()
        self._since = {each: self._since.get(each, now) for each in opened}
        self._heard &= self._since.keys()
        silent = sorted(self._since.keys() - self._heard, key=self._since.__getitem__)
        too_many = max(0, len(silent) - MOST_SILENT)
        for index, each in enumerate(silent):
            if index < too_many or now - self._since[each] >= SILENT_S:
                each.force_close()

    async def watch(self, opened: Callable[[], Iterable[Connection]]) -> None:
        """Look at the connections for ever.

        Args:
            opened: gives the connections that are open.
        """
        while True:
            await asyncio.sleep(LOOK_S)
            self.close_silent(opened())


def request_logger() -> logging.Logger:
    """The logger for aiohttp: bytes that are no request get the answer 400 and are no fault of the board."""
    found = logging.getLogger(f"{__name__}.requests")
    found.addFilter(_is_fault)
    return found


def _is_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def quiet_when_full() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """A handler of a loop's exceptions that says a single time that no further connection can be opened."""
    said = False

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal said
        if context.get("message") != "socket.accept() out of system resource":
            loop.default_exception_handler(context)
        elif not said:
            said = True
            logger.warning(
                "the board has as many connections and files open as this machine lets it (ulimit -n), so"
                " new viewers wait; silent connections are closed within %g s",
                SILENT_S,
            )

    return handle
