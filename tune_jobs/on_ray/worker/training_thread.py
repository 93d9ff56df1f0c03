"""The one thread of a worker's process in which all training happens.

Ray Tune gives each trial a thread of its own. What torch and its libraries keep for a thread would be lost
with it: cuDNN's plans for each shape of a convolution on CUDA, the threads that share a CPU's work. So a
trial's own thread only passes on what this thread makes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from functools import cache
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

Work = tuple[Future[Any], Callable[[], Any]]


def made_in_training_thread(items: Generator[T]) -> Generator[T]:
    """The items, each of them made in the training thread; so is what tidies up when they are closed."""
    try:
        while True:
            made = _run(lambda: next(items, None))
            if made is None:
                return
            yield made
    finally:
        _run(items.close)


def _run(call: Callable[[], T]) -> T:
    """The result of a call in the training thread; waits for it, and raises what it raised."""
    future: Future[T] = Future()
    _queue().put((future, call))
    return future.result()


@cache
def _queue() -> SimpleQueue[Work]:
    """The work of the training thread, which is started with it.

    A daemon: a training that hangs does not keep the process from ending.
    """
    queue: SimpleQueue[Work] = SimpleQueue()
    threading.Thread(target=_work, args=(queue,), name="training", daemon=True).start()
    return queue


def _work(queue: SimpleQueue[Work]) -> None:
    while True:
        future, call = queue.get()
        try:
            future.set_result(call())
        except BaseException as error:  # raised again in the thread that waits
            future.set_exception(error)
        del future, call  # a trial's network is not kept until the next one
