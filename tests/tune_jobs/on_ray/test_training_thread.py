"""The thread in which all trials of a process train."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from tune_jobs.on_ray.worker.training_thread import made_in_training_thread

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def names_of_threads() -> Generator[str]:
    try:
        while True:
            yield threading.current_thread().name
    finally:
        CLOSED_IN.append(threading.current_thread().name)


CLOSED_IN: list[str] = []


def test_all_trials_of_a_process_train_in_one_thread() -> None:
    seen: list[str] = []

    def run_trial() -> None:
        names = made_in_training_thread(names_of_threads())
        seen.append(next(names))
        seen.append(next(names))
        names.close()

    for _ in range(2):  # as Ray Tune does, each in a thread of its own
        trial = threading.Thread(target=run_trial)
        trial.start()
        trial.join()
    assert seen == ["training"] * 4
    assert CLOSED_IN == ["training"] * 2


def test_what_training_raises_arrives_where_its_messages_are_awaited() -> None:
    def fail() -> Generator[int]:
        yield 1
        raise KeyError("x")

    items = made_in_training_thread(fail())
    assert next(items) == 1
    with pytest.raises(KeyError, match="x"):
        next(items)
    assert list(made_in_training_thread(iter_of(3))) == [1, 2, 3]


def iter_of(count: int) -> Generator[int]:
    yield from range(1, count + 1)
