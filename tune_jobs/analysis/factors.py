"""The effect of each parameter on the objective: outcomes by cell and by level, and comparisons of levels.

A grid trains each cell equally often, so that levels of a factor are compared within the same cells of the
other factors. An adaptive search trains most where results are good, and early stopping completes only good
trials: means over their trials show where the search went, not the worth of a level.
`tune_jobs.report.factors` draws the tables.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

import pandas as pd

from tune_jobs.analysis.intervals import (
    Difference,
    Span,
    mean_of,
    paired,
    span_of,
    welch,
)
from tune_jobs.study.bindings import REPEAT
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.method import SamplerName
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import State, as_json_text
from tune_jobs.study.stored import objectives_of

L = TypeVar("L")
"""A level of a factor, or a combination of levels of several factors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A trial that completed or failed: its params without the repeat, and its objective if it has one."""

    params: Mapping[str, Any]
    value: float | None

    @property
    def cell(self) -> str:
        """A text that the trials of a recipe share."""
        return as_json_text(self.params)

    def without(self, names: Collection[str]) -> str:
        """A text that trials share if they differ at most in these parameters."""
        return as_json_text({name: value for name, value in self.params.items() if name not in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How a study chose its trials, which decides what their means can show.

    Attributes:
        metric: the first objective.
        is_grid: whether each cell was trained to its end.
        is_adaptive: whether earlier results decided which trials were trained or stopped.
        factors: the parameters with levels, in the order of the space.
        numbers: the searched parameters with a range.
        conditions: the parent of each conditional parameter.
    """

    objective: Objective
    is_grid: bool
    is_adaptive: bool
    factors: tuple[str, ...]
    numbers: tuple[str, ...]
    conditions: Mapping[str, str]

    @property
    def sign(self) -> float:
        """1 or -1: a value times the sign is better if it is larger."""
        return -self.objective.direction.sign

    @property
    def metric(self) -> str:
        """The name of the objective."""
        return self.objective.metric

    @property
    def span(self) -> Span:
        """The range of the objective; nothing is known of that of own training."""
        return (-math.inf, math.inf) if self.objective.own else span_of(self.metric)

    def comes_with(self, *factors: str) -> frozenset[str]:
        """The factors, and the parameters that apply only under some of their levels."""
        names = {*factors}
        for name, parent in self.conditions.items():  # in the order of the space: a parent comes first
            if parent in names:
                names.add(name)
        return frozenset(names)


def design_of(definition: Mapping[str, Any]) -> Design:
    """The design of a study, from its definition."""
    sampler, asha = definition["sampler"], definition["asha"]
    is_grid = sampler == SamplerName.GRID and asha is None
    repeat = repeat_of(definition)
    searched = [p for p in definition["space"] if p["kind"] != "constant" and p["name"] != repeat]
    factors = tuple(p["name"] for p in searched if p["kind"] == "choice" or is_grid)
    return Design(
        objective=objectives_of(definition)[0],
        is_grid=is_grid,
        is_adaptive=not is_grid and not (sampler == SamplerName.RANDOM and asha is None),
        factors=factors,
        numbers=tuple(p["name"] for p in searched if p["name"] not in factors),
        conditions={p["name"]: p["when"]["parameter"] for p in definition["space"] if p["when"]},
    )


def repeat_of(definition: Mapping[str, Any]) -> str | None:
    """The parameter whose values stand for several runs of one recipe; None where own names mean nothing."""
    return REPEAT if definition["train"] is None else None


def read_outcomes(trials: pd.DataFrame, *, repeat: str | None = REPEAT) -> list[Outcome]:
    """The trials that completed or failed, in order of number.

    Args:
        repeat: the parameter that is no part of a recipe (`repeat_of`).
    """
    ended = trials[trials["state"].isin([State.COMPLETED, State.FAILED])].sort_values("number")
    outcomes = []
    for params, value in zip(ended["params"], ended["objective"], strict=True):
        without = {k: v for k, v in parse_object(params).items() if k != repeat}
        outcomes.append(Outcome(params=without, value=None if pd.isna(value) else float(value)))
    return outcomes


def vary_alone(levels: Mapping[L, Sequence[Outcome]], names: Collection[str]) -> bool:
    """Whether each level is a single cell, whose trials differ in their seeds, and no other factor varies."""
    others = {outcome.without(names) for group in levels.values() for outcome in group}
    return len(others) == 1 and all(
        len({outcome.cell for outcome in group}) == 1 for group in levels.values()
    )


def ranked(
    levels: Mapping[L, Sequence[Outcome]], means: Mapping[L, float], design: Design, *factors: str
) -> list[L]:
    """The levels of a factor, or of several factors together, that have a mean; the best first.

    A grid ranks a level by the number of other levels that it beats within the cells that both have, then by
    the sum of these differences. The mean alone would favour a level whose trials failed in the hard cells.
    If no trial is missing, this is the order of the means.
    """
    by_mean = sorted(means, key=lambda level: -design.sign * means[level])
    if not design.is_grid:
        return by_mean
    compare = cells_comparison(design, *factors)
    ahead = {
        level: [
            design.sign * compare(levels[level], levels[other]).value for other in by_mean if other != level
        ]
        for level in by_mean
    }
    return sorted(by_mean, key=lambda level: (-sum(lead > 0 for lead in ahead[level]), -sum(ahead[level])))


Compare = Callable[[Sequence[Outcome], Sequence[Outcome]], Difference]
"""Computes the difference between the trials of two levels: the first less the second."""


def compare_all(
    levels: Mapping[L, Sequence[Outcome]], ordered: Sequence[L], compare: Compare
) -> dict[tuple[L, L], Difference]:
    """The difference of each pair of levels, the worse less the better. All pairs, because the best level is
    known only from the same trials."""
    return {
        (worse, better): compare(levels[worse], levels[better]) for better, worse in combinations(ordered, 2)
    }


def cells_comparison(design: Design, *factors: str) -> Compare:
    """A comparison of two levels of `factors` within the combinations of the other factors that both have."""
    names = design.comes_with(*factors)

    def compare(group: Sequence[Outcome], best: Sequence[Outcome]) -> Difference:
        ours, theirs = means_without(group, names), means_without(best, names)
        common = [ours[key] - theirs[key] for key in ours if key in theirs]
        return (
            paired(common) if common else Difference(value=mean_of(ours.values()) - mean_of(theirs.values()))
        )

    return compare


def compare_trials(group: Sequence[Outcome], best: Sequence[Outcome]) -> Difference:
    """The difference of two levels over independent trials."""
    return welch(values_of(group), values_of(best))


def means_without(group: Sequence[Outcome], names: Collection[str]) -> dict[str, float]:
    """The mean of each combination of the other factors, over seeds and over the parameters in `names`."""
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in group:
        if outcome.value is not None:
            values[outcome.without(names)].append(outcome.value)
    return {key: mean_of(found) for key, found in values.items()}


def best_cell(group: Sequence[Outcome], sign: float) -> float | None:
    """The mean of the best cell; None if no trial of the group has a value."""
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in group:
        if outcome.value is not None:
            values[outcome.cell].append(outcome.value)
    means = [mean_of(found) for found in values.values()]
    return sign * max(sign * mean for mean in means) if means else None


def values_of(group: Sequence[Outcome]) -> list[float]:
    """The objectives of the trials that have one."""
    return [outcome.value for outcome in group if outcome.value is not None]
