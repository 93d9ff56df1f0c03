"""Open places and the trials that wait for a worker: pure counting, no cluster."""

from __future__ import annotations

from tune_jobs.on_ray.openings import Openings


def openings(*free: int) -> Openings:
    """Those of a cluster that has so many free places at each look; none after the last."""
    looks = iter(free)
    return Openings(lambda: next(looks, 0))


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


def test_a_trial_that_hoped_in_vain_lets_another_hope() -> None:
    found = openings(0, 0)
    assert begin_all(found) == [0]
    found.take_end(0, worker_lives=False)
    assert begin_all(found, 1) == [1]
