"""The one thread of a worker's process in which all training happens.

Ray Tune gives each trial a thread of its own. With the thread, torch and its libraries would lose what they
keep for it: cuDNN's plans for each shape of a convolution on CUDA, and the threads that share a CPU's work.
So a trial's own thread only passes on the items that this thread makes, in batches: each round through Tune
costs the driver some milliseconds, as much as a short epoch. `tune_jobs.on_ray.worker.trainable` calls this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from functools import cache
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

Work = tuple[Future[Any], Callable[[], Any]]


GATHER_S = 0.02
"""Seconds for which an item waits for the next ones, to be sent with them. Training does not wait."""


def made_in_training_thread(
    items: Generator[T], *, must_be_answered: Callable[[T], bool], gather_s: float = GATHER_S
) -> Generator[list[T]]:
    """The items in batches, each item made in the training thread, in which the generator is also closed.

    The training thread makes the next items while a batch is on its way, until it has made an item that must
    be answered first. Such an item is the last of its batch, and the generator continues after the caller
    has asked for the next batch.

    Args:
        must_be_answered: whether the generator may continue only after the caller has taken this item.
        gather_s: seconds from the first item of a batch until it is given out, or less.
    """
    coming: Future[T | None] | None = None
    try:
        while True:
            batch: list[T] = []
            give_out_at = None
            while not batch or not must_be_answered(batch[-1]):
                coming = coming or _begin(lambda: next(items, None))
                if give_out_at is not None:
                    wait([coming], timeout=max(0.0, give_out_at - time.monotonic()))
                    if not coming.done() or coming.exception() is not None:
                        break  # the error is raised after the batch is given out
                item, coming = coming.result(), None
                if item is None:
                    break
                batch.append(item)
                give_out_at = give_out_at or time.monotonic() + gather_s
            if not batch:
                return
            yield batch
    finally:
        _begin(items.close).result()  # after the item that is being made


def _begin(call: Callable[[], T]) -> Future[T]:
    """Let the training thread make a call once it has made those before; returns at once."""
    future: Future[T] = Future()
    _queue().put((future, call))
    return future


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
