"""The thread in which all trials of a process train."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import pytest

from tune_jobs.on_ray.worker.training_thread import made_in_training_thread

LONG_S = 60.0


def one_by_one(item: object) -> bool:
    return True


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
        names = made_in_training_thread(names_of_threads(), must_be_answered=one_by_one)
        seen.extend(next(names))
        seen.extend(next(names))
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

    for must_be_answered in (one_by_one, lambda item: False):
        items = made_in_training_thread(fail(), must_be_answered=must_be_answered, gather_s=LONG_S)
        assert next(items) == [1]
        with pytest.raises(KeyError, match="x"):
            next(items)
    assert list(made_in_training_thread(iter_of(3), must_be_answered=one_by_one)) == [[1], [2], [3]]


def test_what_is_made_quickly_is_sent_together_up_to_what_must_be_answered() -> None:
    batches = made_in_training_thread(
        iter_of(7), must_be_answered=lambda item: item % 3 == 0, gather_s=LONG_S
    )
    assert list(batches) == [[1, 2, 3], [4, 5, 6], [7]]


def test_nothing_is_made_before_the_answer_to_what_must_be_answered() -> None:
    made: list[int] = []

    def items() -> Generator[int]:
        for number in range(4):
            made.append(number)
            yield number

    batches = made_in_training_thread(items(), must_be_answered=lambda item: item == 1, gather_s=LONG_S)
    assert next(batches) == [0, 1]
    assert next(made_in_training_thread(iter_of(1), must_be_answered=one_by_one)) == [1]  # the thread is free
    assert made == [0, 1]
    assert next(batches) == [2, 3]


def test_a_slow_item_holds_up_no_other_and_is_made_meanwhile() -> None:
    may_end = threading.Event()

    def items() -> Generator[str]:
        yield "quick"
        assert may_end.wait(LONG_S)
        yield "slow"

    batches = made_in_training_thread(items(), must_be_answered=lambda item: False)
    assert next(batches) == ["quick"]
    may_end.set()
    assert list(batches) == [["slow"]]


def test_a_batch_is_closed_after_some_time_however_quickly_items_come() -> None:
    def items() -> Generator[float]:
        while True:
            time.sleep(0.001)
            yield time.monotonic()

    batches = made_in_training_thread(items(), must_be_answered=lambda item: False, gather_s=0.05)
    first, second = next(batches), next(batches)
    assert first[-1] < second[0]
    batches.close()


def test_closing_waits_for_the_item_that_is_being_made() -> None:
    began, may_end, ended = threading.Event(), threading.Event(), []

    def items() -> Generator[int]:
        try:
            yield 1
            began.set()
            assert may_end.wait(LONG_S)
            yield 2
        finally:
            ended.append(True)

    batches = made_in_training_thread(items(), must_be_answered=lambda item: False, gather_s=0.0)
    assert next(batches) == [1]
    assert began.wait(LONG_S)
    threading.Timer(0.05, may_end.set).start()
    batches.close()
    assert ended


def iter_of(count: int) -> Generator[int]:
    yield from range(1, count + 1)
