"""What rungs would have done with trials whose learning curves are complete: how often they stop good ones.

The end of a stopped trial is not known, so a study with early stopping cannot say what its rungs cost. A
study that trains every trial to its end can: its reports are given to the rule in the order in which they
came, and each trial that the rule stops reports no more. Left out: workers would have been free earlier, so
trials would have met in another order. Pure; called by `tune_jobs.report`.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tune_jobs.search.asha import rank
from tune_jobs.study.method import Asha
from tune_jobs.study.objective import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class RungReport:
    """The value of a trial at an epoch; None if the report lacks it."""

    number: int
    epoch: int
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseStops:
    """What a rule would have done.

    Attributes:
        epochs: of the rungs.
        reached: how many trials would have come to each rung.
        stopped: how many of them it would have stopped.
        num_trials: the trials with complete curves.
        num_whole: those that no rung would have stopped.
        num_missed: of the `num_whole` best places, those that trials would have had which a rung would have
            stopped. Of trials with equal values at their ends any may have a place.
        best: the best value at the end of all trials.
        best_whole: the best of those that no rung would have stopped.
    """

    asha: Asha
    epochs: tuple[int, ...]
    reached: Mapping[int, int]
    stopped: Mapping[int, int]
    num_trials: int
    num_whole: int
    num_missed: int
    best: float
    best_whole: float

    @property
    def rate(self) -> float:
        """The false-stop rate: the part of the best places that stopped trials would have had, in [0, 1]."""
        return self.num_missed / self.num_whole


def find_false_stops(
    reports: Iterable[RungReport],
    finals: Mapping[int, float],
    asha: Asha,
    *,
    epochs: Mapping[int, int],
    direction: Direction,
) -> FalseStops | None:
    """What the rule would have done with trials that ran to their ends; None if it has no rung there.

    Args:
        reports: in the order of `seq`.
        finals: the value at the end of each trial with a complete curve; other trials do not count.
        epochs: the last epoch of each trial, at which no rung decides.
    """
    rungs = asha.rungs(max((epochs[number] for number in finals), default=0))
    if not rungs:
        return None
    values: dict[int, list[float]] = {epoch: [] for epoch in rungs}
    reached, stopped, cut = Counter[int](), Counter[int](), set[int]()
    for report in reports:
        at = report.epoch
        if at not in values or report.number not in finals or report.number in cut:
            continue
        known = report.value is not None and math.isfinite(report.value)
        if known:
            insort(values[at], report.value or 0.0)
        if at >= epochs[report.number]:
            continue
        reached[at] += 1
        if not known or not _continues(report.value or 0.0, values[at], asha, direction):
            stopped[at] += 1
            cut.add(report.number)
    return _judged(finals, cut, asha, rungs=rungs, reached=reached, stopped=stopped, direction=direction)


def _continues(value: float, values: list[float], asha: Asha, direction: Direction) -> bool:
    return rank(value, values, direction=direction, reduction_factor=asha.reduction_factor).continues


def _judged(
    finals: Mapping[int, float],
    cut: set[int],
    asha: Asha,
    *,
    rungs: tuple[int, ...],
    reached: Mapping[int, int],
    stopped: Mapping[int, int],
    direction: Direction,
) -> FalseStops | None:
    whole = [value for number, value in finals.items() if number not in cut]
    if not whole:
        return None
    ordered = sorted(finals.values(), key=lambda value: direction.sign * value)
    last_place = direction.sign * ordered[len(whole) - 1]
    in_place = sum(direction.sign * value <= last_place for value in whole)
    return FalseStops(
        asha=asha,
        epochs=rungs,
        reached=reached,
        stopped=stopped,
        num_trials=len(finals),
        num_whole=len(whole),
        num_missed=len(whole) - in_place,
        best=ordered[0],
        best_whole=min(whole, key=lambda value: direction.sign * value),
    )
