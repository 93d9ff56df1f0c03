"""The line of the best value so far."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from terminal_testing import Kind, Stream

from tune_jobs.report.sparkline import ASCII, BLOCKS, describe_best, levels_of, sparkline, steps_of
from tune_jobs.study.objective import Maximize, Minimize


@pytest.mark.parametrize(
    ("steps", "until", "line"),
    [
        ([], 5, ""),
        ([(1, 0.5)], 1, ""),
        ([(4, 0.5)], 4, ""),
        ([(1, 0.5)], 3, "▄▄▄"),
        ([(1, 0.0), (2, 1.0)], 2, "▁█"),
        ([(1, 1.0), (2, 0.0)], 3, "█▁▁"),
        ([(1, 0.0), (5, 0.5), (8, 1.0)], 8, "▁▁▁▁▅▅▅█"),
        ([(3, 0.0), (5, 1.0)], 6, "▁▁██"),
        ([(1, -1e308), (2, 0.0), (3, 1e308)], 3, "▁▅█"),
        ([(1, 5e-324), (2, 1e-323)], 2, "▁█"),
        ([(1, -math.inf), (2, 1.0), (3, 2.0), (4, math.inf)], 4, "▁▁██"),
        ([(1, -math.inf), (2, math.inf)], 2, "▁█"),
        ([(1, math.nan)], 4, ""),
        ([(1, math.nan), (2, 1.0), (3, math.nan)], 4, "▄▄▄"),
    ],
)
def test_line_is_drawn_from_the_first_best_to_the_last(
    steps: list[tuple[int, float]], until: int, line: str
) -> None:
    assert sparkline(steps, until) == line


def test_a_long_study_has_a_short_line() -> None:
    steps = [(n, float(n)) for n in range(1, 20_001, 500)]
    assert sparkline(steps, 20_000) == "▁▁▂▂▃▃▄▄▅▅▆▆▇▇██"
    assert sparkline(steps, 20_000, width=8, levels=ASCII) == ASCII


def test_levels_are_those_of_the_encoding() -> None:
    assert levels_of(Stream(Kind())) == BLOCKS
    assert levels_of(Stream(Kind(encoding="ascii"))) == ASCII
    assert len(ASCII) == len(BLOCKS)


ENDED = pd.DataFrame(
    {
        "seq": [70, 10, 20, 30, 40, 50, 60],
        "state": ["completed", "completed", "infeasible", "stopped", "completed", "failed", "completed"],
        "objective": [0.9, 0.5, None, 0.99, 0.4, None, 0.7],
    }
)


def test_steps_are_of_completed_trials_in_their_order() -> None:
    assert steps_of(ENDED, Maximize("score")) == [(1, 0.5), (5, 0.7), (6, 0.9)]
    assert steps_of(ENDED, Minimize("score")) == [(1, 0.5), (3, 0.4)]


def test_words_around_the_line() -> None:
    found = describe_best(ENDED, [Maximize("score")])
    assert found == "best score so far: ▁▁▁▁▄█   from 0.5000 to 0.9000, over 6 trials"
    falling = describe_best(ENDED, [Minimize("loss")], levels=ASCII)
    assert falling == "best loss so far: ##____   from 0.5000 to 0.4000, over 6 trials"


@pytest.mark.parametrize("num", [0, 1])
def test_no_line_before_two_trials_have_ended(num: int) -> None:
    assert describe_best(ENDED.sort_values("seq").head(num), [Maximize("score")]) == ""


def test_no_line_for_several_objectives_or_failures_alone() -> None:
    assert describe_best(ENDED, [Maximize("score"), Minimize("size")]) == ""
    assert describe_best(ENDED[ENDED["state"] == "failed"], [Maximize("score")]) == ""
