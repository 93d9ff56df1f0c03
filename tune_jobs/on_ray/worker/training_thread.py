"""The one thread of a worker's process in which all training happens.

Ray Tune gives each trial a thread of its own. With the thread, torch and its libraries would lose what they
keep for it: cuDNN's plans for each shape of a convolution on CUDA, and the threads that share a CPU's work.
So a trial's own thread only passes on the items that this thread makes. `tune_jobs.on_ray.worker.trainable`
calls this.
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
    """The items, each made in the training thread, in which the generator is also closed."""
    try:
        while True:
            made = _run(lambda: next(items, None))
            if made is None:
                return
            yield made
    finally:
        _run(items.close)


def _run(call: Callable[[], T]) -> T:
    """The result of a call in the training thread; waits for the call, and raises its error."""
    future: Future[T] = Future()
    _queue().put((future, call))
    return future.result()


@cache
def _queue() -> SimpleQueue[Work]:
    """The work of the training thread. The first call starts the thread.

    The thread is a daemon: a training that hangs does not keep the process from ending.
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
        del future, call  # else a trial's network would be kept until the next trial
