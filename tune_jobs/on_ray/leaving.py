"""Runs Tune in a thread of its own, so that this process can leave a Ray that has died.

A call to a Ray without its control process returns after a minute, if at all, and then Ray ends the process
in the middle of whatever it does. Such a call cannot be interrupted. So the caller's thread stays out of Ray.
It waits for the thread of Tune, sees every signal at once, and looks whether Ray still lives. If Ray has
died, it leaves that thread behind. `tune_jobs.on_ray.runner` calls this; it imports no Ray.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Protocol, TypeVar

from eml_models.errors import EmlError
from tune_jobs.errors import RayLostError

T = TypeVar("T")

LOOK_S = 0.1
"""Seconds between two looks at Ray."""

ERROR_S = 3.0
"""Seconds to find out whether an error of Ray comes from its death: the error may be known first."""

GRACE_S = 3.0
"""Seconds that the thread has to end after it was left, before its Ray is ended without it."""


_LEFT = threading.Event()


class Connection(Protocol):
    """A Ray that this process is connected to."""

    def lost(self, *, patient: bool = True) -> str | None:
        """The reason why this Ray cannot be used any more; None if it lives.

        Args:
            patient: whether a Ray that may come back still counts as living.
        """
        ...

    def abandon(self) -> None:
        """Never call this Ray again: calls to it may not return."""
        ...


class Turns:
    """Lets the thread of Tune write rows until the thread is left, and none later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A block in which the thread of Tune may write rows; nothing inside may wait for Ray.

        Raises:
            RayLostError: the thread was left.
        """
        with self._lock:
            if self._left:
                raise RayLostError("this run has left its Ray")
            yield

    def leave(self) -> None:
        """End all turns; waits for a row that is just being written."""
        with self._lock:
            self._left = True


def finish_or_leave(
    work: Callable[[], T],
    connection: Connection,
    turns: Turns,
    *,
    ended: Callable[[], bool] = lambda: False,
) -> T:
    """The result of `work`, which runs in a thread of its own; its error is raised here.

    Args:
        ended: whether the user has ended the run. Then a Ray that does not answer is left at once.

    Raises:
        RayLostError: Ray died, and the thread is left behind.
        BaseException: the error of `work`; or a signal's, such as KeyboardInterrupt.
    """
    future: Future[T] = Future()
    thread = threading.Thread(target=_fill, args=(future, work), name="tune", daemon=True)
    thread.start()
    try:
        while not wait([future], timeout=LOOK_S).done:
            if problem := connection.lost(patient=not ended()):
                raise RayLostError(problem)
        if (error := future.exception()) is not None:
            _require_other_cause(error, connection)
    except BaseException as error:  # an interrupt too must not leave the thread in charge
        _leave(thread, connection, turns, died=isinstance(error, RayLostError))
        raise
    return future.result()


def _leave(thread: threading.Thread, connection: Connection, turns: Turns, *, died: bool) -> None:
    """Leave the thread of Tune, or see it end if its Ray lives and a signal ends the run at once."""
    turns.leave()
    thread.join(0 if died else GRACE_S)
    if died or thread.is_alive():
        connection.abandon()
        _LEFT.set()


def leave_half_started() -> None:
    """Note that a signal has cut off the start of a Ray, whose compiled part may abort as Python ends."""
    _LEFT.set()


def has_left() -> bool:
    """Whether this process has left a Ray, so that it must end without the usual end of libraries: Ray's
    would wait for a minute."""
    return _LEFT.is_set()


def _require_other_cause(error: BaseException, connection: Connection) -> None:
    """Refuse an error of the run that comes from the death of its Ray; an error of Ray may be known first."""
    give_up_at = time.monotonic() + (0 if isinstance(error, EmlError) else ERROR_S)
    while True:
        if problem := connection.lost(patient=False):
            raise RayLostError(problem) from error
        if time.monotonic() >= give_up_at:
            return
        time.sleep(LOOK_S)


def _fill(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # raised again in the thread that waits
        future.set_exception(error)
