"""Asynchronous successive halving: whether a trial goes on after a rung, as a pure function of the history.

It keeps nothing and acts on nothing: the session asks, writes the verdict into the report's row, and only
then passes it on. Which epochs are rungs the study says; what was reported there the history knows.

Source: Li et al. 2018, arXiv 1810.05934. This is the stopping variant that Ray Tune and Optuna run: a trial
is judged once at each rung, when it reaches it, against what the rung has seen so far, and a stopped trial
is never taken up again (the paper's algorithm 2 pauses instead, and promotes later).

With several objectives a rung keeps the best in the order of `tune_jobs.search.pareto.standings`: front by
front, and spread over the front that only partly goes on. Source: MO-ASHA, arXiv 2106.12639.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eml_models.errors import raise_if_any
from tune_jobs.search.history import History
from tune_jobs.search.pareto import front_numbers, standings
from tune_jobs.search.records import Rung
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import Direction
from tune_jobs.study.rows import Decision


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


def decide(
    study: Study, history: History, number: int, epoch: int, metrics: Mapping[str, float | None]
) -> Verdict | None:
    """Whether trial `number` goes on after reporting `metrics` at `epoch`; None where no rung decides.

    Nor does one at the trial's own last epoch, where the space searches the epochs: that trial has run to its
    end. Its value counts there for the others.

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
        metrics: what was reported, by name; costs of the network are known without.
    """
    rung_epoch = history.rung_of(number, epoch)
    if rung_epoch is None or study.asha is None or _is_last(study, history, number, epoch):
        return None
    rung = history.rungs[rung_epoch]
    earlier = rung.reports.get(number)
    if earlier is not None:
        if earlier.decision is not None:
            return Verdict(earlier.decision, earlier.decision_reason or "")
        metrics = {name: getattr(earlier, name) for name in study.metrics}
    place = f"rung {rung_epoch}" if epoch == rung_epoch else f"rung {rung_epoch}, reached with epoch {epoch}"
    for name in study.metrics:
        value = metrics.get(name)
        if value is None or not math.isfinite(value):
            got = "is missing" if value is None else f"is {value}"
            return Verdict(Decision.STOP, f"{place}: {name} {got}, which lets no trial go on")
    judge = _judge_value if len(study.objectives) == 1 else _judge_point
    goes_on, why = judge(study, history, rung, number, metrics)
    return Verdict(Decision.CONTINUE if goes_on else Decision.STOP, f"{place}: {why}")


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
    return standing.goes_on, f"{objective.metric} {value:.6g} is {describe(standing, objective.direction)}"


def _judge_point(
    study: Study, history: History, rung: Rung, number: int, metrics: Mapping[str, float | None]
) -> tuple[bool, str]:
    factor = study.asha.reduction_factor if study.asha else 1
    point = history.point_of(number, metrics)
    assert point is not None
    points = [*(known for other, known in history.rung_points(rung).items() if other != number), point]
    place = standings(points, study.objectives)[-1]
    front = front_numbers(points, [objective.direction for objective in study.objectives])[-1]
    num_kept = max(1, len(points) // factor)
    named = zip(study.objectives, point, strict=True)
    values = ", ".join(f"{objective.metric} {value:.6g}" for objective, value in named)
    kept = _kept(num_kept)
    return place <= num_kept, f"{values} is {_ordinal(place)} of {len(points)}, on front {front}; {kept}"


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
    sign = ">=" if direction is Direction.MAXIMIZE else "<="
    place, kept = f"{_ordinal(standing.rank)} of {standing.count}", _kept(standing.num_kept)
    return f"{place}; {kept} ({sign} {standing.cutoff:.6g})"


def _kept(count: int) -> str:
    return "the best one goes on" if count == 1 else f"the best {count} go on"


def _ordinal(rank: int) -> str:
    teens = 10 <= rank % 100 <= 20
    return f"{rank}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th')}"
