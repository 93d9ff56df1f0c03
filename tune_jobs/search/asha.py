"""Asynchronous successive halving: whether a trial goes on after a rung, as a pure function of the history.

It keeps nothing and acts on nothing: the session asks, writes the verdict into the report's row, and only
then passes it on. Which epochs are rungs the study says; what was reported there the history knows.

Source: Li et al. 2018, arXiv 1810.05934. This is the stopping variant that Ray Tune and Optuna run: a trial
is judged once at each rung, when it reaches it, against what the rung has seen so far, and a stopped trial
is never taken up again (the paper's algorithm 2 pauses instead, and promotes later).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from eml_models.errors import raise_if_any
from tune_jobs.search.history import History
from tune_jobs.study import Direction, Study
from tune_jobs.trial import Decision


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rung decided, and why in words."""

    decision: Decision
    reason: str

    def __post_init__(self) -> None:
        raise_if_any("verdict", [] if self.reason else ["a decision needs a reason, got none"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a value stands among the `count` values of its rung, itself included; rank 1 is the best.

    Equal values share the better rank. `num_kept` go on: those not worse than `cutoff`.
    """

    rank: int
    count: int
    num_kept: int
    cutoff: float

    @property
    def goes_on(self) -> bool:
        return self.rank <= self.num_kept


def decide(study: Study, history: History, number: int, epoch: int, value: float | None) -> Verdict | None:
    """Whether trial `number` goes on after reporting `value` at `epoch`; None where no rung decides.

    It goes on if the value is among the best max(1, n // reduction_factor) of the n values that the rung
    has seen, itself included. A value equal to the last of those counts as among them, so that the verdict
    depends on the values alone and not on the order in which workers happened to report: with accuracies of
    a few hundred images ties are common, and a tie is no evidence against a trial. (Ray Tune and Optuna
    keep ties too.)

    A rung that has decided on this trial before, in an earlier attempt, decides the same again. A missing or
    non-finite value stops the trial.

    Args:
        history: without this report.
        epoch: the study's own count of epochs, from 1, over all attempts.
    """
    rung_epoch = history.rung_of(number, epoch)
    if rung_epoch is None or study.asha is None:
        return None
    rung, metric, direction = history.rungs[rung_epoch], study.objective.metric, study.objective.direction
    earlier = rung.reports.get(number)
    if earlier is not None:
        if earlier.decision is not None:
            return Verdict(earlier.decision, earlier.decision_reason or "")
        value = getattr(earlier, metric)
    place = f"rung {rung_epoch}" if epoch == rung_epoch else f"rung {rung_epoch}, reached with epoch {epoch}"
    if value is None or not math.isfinite(value):
        got = "is missing" if value is None else f"is {value}"
        return Verdict(Decision.STOP, f"{place}: {metric} {got}, which lets no trial go on")
    values = rung.values if earlier is not None else [*rung.values, value]
    standing = rank(value, values, direction=direction, reduction_factor=study.asha.reduction_factor)
    decision = Decision.CONTINUE if standing.goes_on else Decision.STOP
    return Verdict(decision, f"{place}: {metric} {value:.6g} is {describe(standing, direction)}")


def rank(value: float, values: Iterable[float], *, direction: Direction, reduction_factor: int) -> Standing:
    """Where `value` stands among `values`, which hold it too."""
    ascending = sorted(values)
    count = len(ascending)
    num_kept = max(1, count // reduction_factor)
    if direction is Direction.MAXIMIZE:
        num_better, cutoff = count - bisect_right(ascending, value), ascending[count - num_kept]
    else:
        num_better, cutoff = bisect_left(ascending, value), ascending[num_kept - 1]
    return Standing(rank=num_better + 1, count=count, num_kept=num_kept, cutoff=cutoff)


def describe(standing: Standing, direction: Direction) -> str:
    """A standing in words: ``7th of 12; the best 4 go on (>= 0.9012)``."""
    kept = "the best one goes on" if standing.num_kept == 1 else f"the best {standing.num_kept} go on"
    sign = ">=" if direction is Direction.MAXIMIZE else "<="
    return f"{_ordinal(standing.rank)} of {standing.count}; {kept} ({sign} {standing.cutoff:.6g})"


def _ordinal(rank: int) -> str:
    teens = 10 <= rank % 100 <= 20
    return f"{rank}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th')}"
