"""Open places and the trials that wait for a worker: pure counting, no cluster."""

from __future__ import annotations

import pytest

from tune_jobs.on_ray.cluster.openings import PATIENCE_S, Openings


class Seconds:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def openings(*free: int, clock: Seconds | None = None) -> Openings:
    """Those of a cluster that has so many free places at each look; none after the last."""
    looks = iter(free)
    return Openings(lambda: next(looks, 0), clock=clock or Seconds())


def begin_all(found: Openings, first: int = 0) -> list[int]:
    """Begin what may begin, numbered from `first`; a dozen at most."""
    numbers: list[int] = []
    while found.may_begin() and len(numbers) < 12:
        found.begin(first + len(numbers))
        numbers.append(first + len(numbers))
    return numbers


def test_every_open_place_is_filled_at_once() -> None:
    assert begin_all(openings(4)) == [0, 1, 2, 3]


def test_a_full_cluster_has_one_trial_that_hopes() -> None:
    found = openings(0)
    assert begin_all(found) == [0]
    found.take_start(0)  # somebody made room
    assert begin_all(found, 1) == [1]


def test_an_ended_trials_worker_gets_a_new_trial_while_others_still_start() -> None:
    found = openings(3)
    assert begin_all(found) == [0, 1, 2]
    found.take_start(0)
    found.take_end(0, worker_lives=True)
    assert begin_all(found, 3) == [3]  # 1 and 2 keep the processes that start for them


def test_an_ended_trials_worker_goes_to_the_trial_that_hopes() -> None:
    found = openings(1)
    assert begin_all(found) == [0]
    found.take_start(0)
    assert begin_all(found, 1) == [1]  # hopes
    found.take_end(0, worker_lives=True)
    assert begin_all(found, 2) == []
    found.take_start(1)
    found.take_end(1, worker_lives=True)
    assert begin_all(found, 2) == [2]


def test_a_lost_worker_leaves_no_place_until_the_cluster_is_looked_at_again() -> None:
    found = openings(2, 5)
    assert begin_all(found) == [0, 1]
    found.take_start(0)
    found.take_end(0, worker_lives=False)
    assert begin_all(found, 2) == []  # 1 waits, so what is free now may be its own
    found.take_start(1)
    assert begin_all(found, 2) == [2, 3, 4, 5, 6]


def test_a_trial_that_waited_without_result_lets_another_wait() -> None:
    found = openings(0, 0)
    assert begin_all(found) == [0]
    found.take_end(0, worker_lives=False)
    assert begin_all(found, 1) == [1]


def test_a_trial_whose_place_is_gone_is_not_passed_by_for_ever() -> None:
    clock = Seconds()
    found = openings(3, clock=clock)
    assert begin_all(found) == [0, 1, 2]
    found.take_start(0)  # the other two places are somebody else's by now
    clock.now = PATIENCE_S / 2
    found.take_end(0, worker_lives=True)
    assert begin_all(found, 3) == [3]
    found.take_start(3)
    clock.now = PATIENCE_S
    found.take_end(3, worker_lives=True)
    assert begin_all(found, 4) == []  # the worker is for 1 or 2
    found.take_start(1)
    found.take_end(1, worker_lives=True)
    assert begin_all(found, 4) == []  # and this one for the other
    found.take_start(2)
    found.take_end(2, worker_lives=True)
    assert begin_all(found, 4) == [4]


def test_a_worker_is_promised_to_one_trial_alone() -> None:
    clock = Seconds()
    found = openings(4, clock=clock)
    assert begin_all(found) == [0, 1, 2, 3]
    for number in (0, 1, 2):
        found.take_start(number)
    clock.now = PATIENCE_S
    found.take_end(0, worker_lives=True)  # for 3, which takes a moment to begin in it
    found.take_end(1, worker_lives=True)
    assert begin_all(found, 4) == [4]


def test_nothing_takes_the_room_that_is_made_for_a_larger_trial() -> None:
    found = openings(3, 2)
    assert begin_all(found) == [0, 1, 2]
    for number in (0, 1, 2):
        found.take_start(number)
    found.take_end(0, worker_lives=True)  # ran out of its share
    found.begin(0, larger=True)
    found.take_end(1, worker_lives=True)
    assert begin_all(found, 3) == []
    found.take_end(2, worker_lives=True)
    assert begin_all(found, 3) == []
    found.take_start(0)
    assert begin_all(found, 3) == [3, 4]  # as many as there are by now, not as many as ended


def test_a_larger_trial_that_nothing_makes_room_for_holds_up_the_others_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Seconds()
    found = openings(2, 1, clock=clock)  # the other half of the device is somebody else's for ever
    assert begin_all(found) == [0, 1]
    for number in (0, 1):
        found.take_start(number)
    found.take_end(0, worker_lives=True)  # ran out of its share
    found.begin(0, larger=True)
    clock.now = 2 * PATIENCE_S
    assert begin_all(found, 2) == []  # 1 trains still
    found.take_end(1, worker_lives=True)
    assert begin_all(found, 2) == []  # 0 may be about to begin
    clock.now += PATIENCE_S
    assert begin_all(found, 2) == [2]
    assert found.num_stuck == 1
    assert "trial 0 waits for more of a GPU than is free" in caplog.text
    found.take_start(2)
    found.take_end(2, worker_lives=True)
    assert begin_all(found, 3) == [3]
    found.take_start(0)  # somebody left
    assert found.num_stuck == 0
    found.take_end(0, worker_lives=True)
    found.begin(4, larger=True)
    assert begin_all(found, 5) == []


def test_a_larger_trial_whose_worker_died_holds_up_nobody() -> None:
    found = openings(2, 2)
    found.begin(0, larger=True)
    found.take_end(0, worker_lives=False)
    assert begin_all(found, 1) == [1, 2]
