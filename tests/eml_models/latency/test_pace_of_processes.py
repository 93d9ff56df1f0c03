"""The pace of a round: estimates from earlier timings, and the words for them."""

from __future__ import annotations

import pytest

from eml_models.latency.bench.pace import Pace, describe_left


def test_estimate_adds_first_and_other_timings() -> None:
    pace = Pace(firsts=[4.0, 6.0], others=[1.0, 2.0])
    assert pace.estimate_s(3, 4, seconds=9.0) == 3 * 5.0 + 4 * 1.5


def test_before_a_first_timing_nothing_is_known_and_others_take_their_timed_seconds() -> None:
    assert Pace().estimate_s(1, 4, seconds=2.0) is None
    assert Pace().estimate_s(0, 4, seconds=2.0) == 8.0


def test_timings_are_noted_by_kind() -> None:
    pace = Pace()
    with pace.watch(is_first=True):
        pass
    with pace.watch(is_first=False):
        pass
    assert (len(pace.firsts), len(pace.others)) == (1, 1)


@pytest.mark.parametrize(
    ("estimate_s", "limit_s", "words"),
    [
        (None, 60.0, ""),
        (42.4, 600.0, ", about 42 s left"),
        (42.4, 10.0, ", about 10 s left"),
        (42.4, -1.0, ", about 0 s left"),
        (90 * 60.0, 1e9, ", about 90 min left"),
    ],
)
def test_words_never_exceed_the_limit(estimate_s: float | None, limit_s: float, words: str) -> None:
    assert describe_left(estimate_s, limit_s) == words
