"""Ends a worker's process that is silent for too long: in a deadlock, or in a call that never returns.

The trainable wraps its messages in `while_watched`.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

STDERR = 2


def while_watched(messages: Generator[T], limit_s: float | None) -> Generator[T]:
    """The messages; if the next one takes longer than `limit_s` seconds, this process ends.

    So it does if they take longer to be closed. The watch runs in a thread that needs no Python, so a
    deadlock or a hung call of a library does not stop it. It writes where the process stood to the worker's
    log. Waiting for the driver does not count.
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
