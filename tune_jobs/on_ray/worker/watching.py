"""Ends a worker's process that is silent for too long: in a deadlock, or in a call that never returns.

`tune_jobs.on_ray.worker.trainable` wraps its messages in `while_watched`.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

STDERR = 2


def while_watched(messages: Generator[T], limit_s: float | None) -> Generator[T]:
    """The messages. This process ends if a message, or the closing of the generator, takes over `limit_s`.

    The watch runs in a thread that needs no Python, so a deadlock or a hung call of a library does not stop
    it. It writes the tracebacks of all threads to the worker's log. Time spent waiting for the driver does
    not count.

    Args:
        limit_s: in seconds; None for no limit.
    """
    while True:
        with _watch(limit_s):
            try:
                message = next(messages)
            except StopIteration:
                return
        try:
            yield message
        except GeneratorExit:
            with _watch(limit_s):
                messages.close()
            raise


@contextmanager
def _watch(limit_s: float | None) -> Iterator[None]:
    if limit_s is not None:
        faulthandler.dump_traceback_later(limit_s, exit=True, file=STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
