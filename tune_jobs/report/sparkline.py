"""The best value so far as a line of a few characters, such as ``▁▁▃▃▅▇█``, for a terminal.

Pure. Called by `progress`, and by `tune_jobs.cli.store_commands` for the page of a study.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TextIO

import pandas as pd

from eml_models.wording import count_of
from tune_jobs.report.column_numbers import whole
from tune_jobs.report.terminal import can_show
from tune_jobs.report.text import format_value
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import State

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.-~=+*#"
"""The levels of a line, the lowest first: blocks, and what stands for them where an encoding has none."""

WIDTH = 16
"""Most characters of the line."""

Steps = Sequence[tuple[int, float]]
"""Each new best: how many trials had ended with it, and its value."""


def sparkline(steps: Steps, until: int, *, levels: str = BLOCKS, width: int = WIDTH) -> str:
    """The best value from the first step to the trial `until`, from left to right.

    The lowest level is the least value and the highest the greatest, whatever the direction; equal values
    have the middle level. Infinite values have the outer levels, and NaN counts as no step.

    Args:
        steps: in the order of the trials.
        until: how many trials have ended now.

    Returns:
        At most `width` characters; none if fewer than two trials have ended since the first step.
    """
    steps = [step for step in steps if not math.isnan(step[1])]
    if not steps or until <= steps[0][0]:
        return ""
    first = steps[0][0]
    num = min(width, until - first + 1)
    ends = [first + round(index * (until - first) / (num - 1)) for index in range(num)]
    values = [[value for at, value in steps if at <= end][-1] for end in ends]
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(levels[_level(value, low, high, top=len(levels) - 1)] for value in values)


def _level(value: float, low: float, high: float, *, top: int) -> int:
    if math.isinf(value):
        return top if value > 0 else 0
    span = high / 2 - low / 2  # halves: the whole difference of two floats may be infinite
    return round(top * ((value / 2 - low / 2) / span)) if span else top // 2


def levels_of(stream: TextIO) -> str:
    """The levels that the stream can show."""
    return BLOCKS if can_show(BLOCKS, stream) else ASCII


def steps_of(trials: pd.DataFrame, objective: Objective) -> list[tuple[int, float]]:
    """The steps of a study's completed trials, counted over all trials that were trained and have ended."""
    steps: list[tuple[int, float]] = []
    values = _trained(trials).sort_values("seq")[["state", "objective"]].itertuples(index=False, name=None)
    for at, (state, value) in enumerate(values, 1):
        if state != State.COMPLETED or pd.isna(value):
            continue
        if not steps or objective.is_better(value, steps[-1][1]):
            steps.append((at, float(value)))
    return steps


def describe_best(trials: pd.DataFrame, objectives: Sequence[Objective], *, levels: str = BLOCKS) -> str:
    """A line on the best value so far; empty for several objectives, and before there is a line to draw."""
    steps, until = steps_of(trials, objectives[0]), len(_trained(trials))
    line = sparkline(steps, until, levels=levels) if len(objectives) == 1 else ""
    if not line:
        return ""
    first, last = (format_value(whole(value)) for value in (steps[0][1], steps[-1][1]))
    values = f"from {first} to {last}" if len(steps) > 1 else last
    return f"best {objectives[0].metric} so far: {line}   {values}, over {count_of(until, 'trial')}"


def _trained(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["state"] != State.INFEASIBLE]
