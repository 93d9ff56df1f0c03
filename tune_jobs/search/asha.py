"""Asynchronous successive halving: whether a trial continues after a rung, as a pure function of the history.

It has no state and no effect: the session asks, writes the verdict into the row of the report, and passes it
on only then. The study defines which epochs are rungs; the history holds the reports at each rung.

Source: Li et al. 2018, arXiv 1810.05934. This is the stopping variant that Ray Tune and Optuna run: a trial
is judged once at each rung, when it reaches the rung, against the values that the rung has seen so far. A
stopped trial is never resumed (the paper's algorithm 2 pauses trials instead, and promotes them later).

With several objectives a rung keeps the best in the order of `tune_jobs.search.pareto.standings`: front by
front, and spread over the last front, of which only a part continues. The spread begins with the best in the
first objective that training reports: a cost, known before the training, says nothing of an epoch. Source:
MO-ASHA, arXiv 2106.12639.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eml_models.errors import raise_if_any
from tune_jobs.search.history import History
from tune_jobs.search.objectives import metrics_first
from tune_jobs.search.pareto import front_numbers, standings
from tune_jobs.search.records import Rung
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import Direction
from tune_jobs.study.rows import Decision


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision of a rung, and its reason in words."""

    decision: Decision
    reason: str

    def __post_init__(self) -> None:
        raise_if_any("verdict", [] if self.reason else ["a decision must have a reason, got none"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The rank of a value among the `count` values of its rung, itself included; rank 1 is the best.

    Equal values share the better rank. The `num_kept` best continue, and each value that equals the worst of
    them, `cutoff`.
    """

    rank: int
    count: int
    num_kept: int
    cutoff: float

    @property
    def continues(self) -> bool:
        """Whether the trial continues."""
        return self.rank <= self.num_kept


def decide(
    study: Study, history: History, number: int, epoch: int, metrics: Mapping[str, float | None]
) -> Verdict | None:
    """Whether trial `number` continues after it reported `metrics` at `epoch`; None where no rung decides.

    No rung decides on a trial at its own last epoch, which differs from trial to trial if the space searches
    the epochs: the trial is complete. Its value counts for the other trials of that rung.

    A trial continues if its value is among the best max(1, n // reduction_factor) of the n values that the
    rung has seen, itself included. A value that equals the worst of these also counts as among them, so that
    the verdict depends on the values alone and not on the order in which workers reported them: ties are
    common between accuracies on a few hundred images, and a tie is no evidence against a trial. (Ray Tune and
    Optuna keep ties too.)

    If a rung has decided on this trial before, in an earlier attempt, it decides the same again. A missing or
    non-finite value stops the trial.

    Args:
        history: the history without this report.
        epoch: the epoch of the trial, from 1, counted over all its attempts.
        metrics: the reported metrics by name. Costs of the network need not be among them.
    """
    rung_epoch = history.rung_of(number, epoch)
    if rung_epoch is None or study.asha is None or _is_last(study, history, number, epoch):
        return None
    rung = history.rungs[rung_epoch]
    earlier = rung.reports.get(number)
    if earlier is not None:
        if earlier.decision is not None:
            return Verdict(earlier.decision, earlier.decision_reason or "")
        metrics = {name: earlier.value(name) for name in study.metrics}
    place = f"rung {rung_epoch}" if epoch == rung_epoch else f"rung {rung_epoch}, reached with epoch {epoch}"
    for name in study.metrics:
        value = metrics.get(name)
        if value is None or not math.isfinite(value):
            got = "is missing" if value is None else f"is {value}"
            return Verdict(Decision.STOP, f"{place}: {name} {got}; only a finite value lets a trial continue")
    judge = _judge_value if len(study.objectives) == 1 else _judge_point
    continues, why = judge(study, history, rung, number, metrics)
    return Verdict(Decision.CONTINUE if continues else Decision.STOP, f"{place}: {why}")


def _is_last(study: Study, history: History, number: int, epoch: int) -> bool:
    record = history.trials.get(number)
    return record is not None and epoch >= study.epochs_for(record.params)


def _judge_value(
    study: Study, history: History, rung: Rung, number: int, metrics: Mapping[str, float | None]
) -> tuple[bool, str]:
    objective, factor = study.objective, study.asha.reduction_factor if study.asha else 1
    value = metrics[objective.metric]
    assert value is not None
    values = rung.values if number in rung.reports else [*rung.values, value]
    standing = rank(value, values, direction=objective.direction, reduction_factor=factor)
    return standing.continues, f"{objective.metric} {value:.6g} is {describe(standing, objective.direction)}"


def _judge_point(
    study: Study, history: History, rung: Rung, number: int, metrics: Mapping[str, float | None]
) -> tuple[bool, str]:
    factor = study.asha.reduction_factor if study.asha else 1
    point = history.point_of(number, metrics)
    assert point is not None
    points = [*(known for other, known in history.rung_points(rung).items() if other != number), point]
    order = metrics_first(study, history.trials[number].costs)
    ordered = [tuple(known[index] for index in order) for known in points]
    place = standings(ordered, [study.objectives[index] for index in order])[-1]
    front = front_numbers(points, [objective.direction for objective in study.objectives])[-1]
    num_kept = max(1, len(points) // factor)
    named = zip(study.objectives, point, strict=True)
    values = ", ".join(f"{objective.metric} {value:.6g}" for objective, value in named)
    kept = _kept(num_kept)
    return place <= num_kept, f"{values} is {_ordinal(place)} of {len(points)}, on front {front}; {kept}"


def rank(value: float, values: Iterable[float], *, direction: Direction, reduction_factor: int) -> Standing:
    """The standing of `value` among `values`, which include it."""
    ascending = sorted(values)
    count = len(ascending)
    num_kept = max(1, count // reduction_factor)
    if direction is Direction.MAXIMIZE:
        num_better, cutoff = count - bisect_right(ascending, value), ascending[count - num_kept]
    else:
        num_better, cutoff = bisect_left(ascending, value), ascending[num_kept - 1]
    return Standing(rank=num_better + 1, count=count, num_kept=num_kept, cutoff=cutoff)


def describe(standing: Standing, direction: Direction) -> str:
    """A standing in words: ``7th of 12; the best 4 continue (>= 0.9012)``."""
    sign = ">=" if direction is Direction.MAXIMIZE else "<="
    place, kept = f"{_ordinal(standing.rank)} of {standing.count}", _kept(standing.num_kept)
    return f"{place}; {kept} ({sign} {standing.cutoff:.6g})"


def _kept(count: int) -> str:
    return "only the best continues" if count == 1 else f"the best {count} continue"


def _ordinal(rank: int) -> str:
    teens = 10 <= rank % 100 <= 20
    return f"{rank}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th')}"
