"""What the parameters of a study did to its objective: outcomes by cell and by level, and their comparisons.

In a grid every cell is trained as often as any other, so levels of a factor are compared within the same
cells of the others. An adaptive search trains most where it is good, and early stopping lets the good trials
end: means over its trials say where it went, not what a level is worth. `tune_jobs.report.factors` draws the
tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

import pandas as pd

from tune_jobs.analysis.intervals import (
    Difference,
    paired,
    welch,
)
from tune_jobs.study.definition import REPEAT
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.method import SamplerName
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import State, as_json_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One trial that ran to its end or failed: its params without the repeat, and its objective if it has."""

    params: Mapping[str, Any]
    value: float | None

    @property
    def cell(self) -> str:
        """One text for the trials of one recipe."""
        return as_json_text(self.params)

    def without(self, names: Collection[str]) -> str:
        """One text for the trials that differ in these parameters and in nothing else."""
        return as_json_text({name: value for name, value in self.params.items() if name not in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How a study's trials came about, from its definition, and so what can be said of their means.

    `conditions` maps each conditional parameter to the parameter that it depends on.
    """

    metric: str
    is_grid: bool
    is_adaptive: bool
    factors: tuple[str, ...]
    numbers: tuple[str, ...]
    conditions: Mapping[str, str]

    @property
    def sign(self) -> float:
        """Makes larger better."""
        return -Objective(metric=self.metric).direction.sign

    def comes_with(self, factor: str) -> frozenset[str]:
        """The factor, and what applies under some of its levels only: no two levels share that."""
        names = {factor}
        for name, parent in self.conditions.items():  # in the order of the space: a parent comes first
            if parent in names:
                names.add(name)
        return frozenset(names)


def design_of(definition: Mapping[str, Any]) -> Design:
    """The design of a study: factors have levels, numbers a range."""
    sampler, asha = definition["sampler"], definition["asha"]
    is_grid = sampler == SamplerName.GRID and asha is None
    searched = [p for p in definition["space"] if p["kind"] != "constant" and p["name"] != REPEAT]
    factors = tuple(p["name"] for p in searched if p["kind"] == "choice" or is_grid)
    return Design(
        metric=definition["objectives"][0]["metric"],
        is_grid=is_grid,
        is_adaptive=not is_grid and not (sampler == SamplerName.RANDOM and asha is None),
        factors=factors,
        numbers=tuple(p["name"] for p in searched if p["name"] not in factors),
        conditions={p["name"]: p["when"]["parameter"] for p in definition["space"] if p["when"]},
    )


def read_outcomes(trials: pd.DataFrame) -> list[Outcome]:
    """The trials that ran to their end or failed, in order of number."""
    ended = trials[trials["state"].isin([State.COMPLETED, State.FAILED])].sort_values("number")
    outcomes = []
    for params, value in zip(ended["params"], ended["objective"], strict=True):
        without = {k: v for k, v in parse_object(params).items() if k != REPEAT}
        outcomes.append(Outcome(params=without, value=None if pd.isna(value) else float(value)))
    return outcomes


def vary_alone(levels: Mapping[object, Sequence[Outcome]], names: Collection[str]) -> bool:
    """Whether each level is one cell, of trials that differ in their seeds, and no other factor varies."""
    others = {outcome.without(names) for group in levels.values() for outcome in group}
    return len(others) == 1 and all(
        len({outcome.cell for outcome in group}) == 1 for group in levels.values()
    )


def ranked(
    levels: Mapping[object, Sequence[Outcome]], means: Mapping[object, float], design: Design, factor: str
) -> list[object]:
    """The levels that have a mean, the best first.

    In a grid by how many others each is better than within the cells that both have in common, then by how
    much in sum: the mean of a level that failed where the others did badly is of its easy cells alone. Where
    no trial is missing, that is the order of the means.
    """
    by_mean = sorted(means, key=lambda level: -design.sign * means[level])
    if not design.is_grid:
        return by_mean
    compare = cells_comparison(design, factor)
    ahead = {
        level: [
            design.sign * compare(levels[level], levels[other]).value for other in by_mean if other != level
        ]
        for level in by_mean
    }
    return sorted(by_mean, key=lambda level: (-sum(lead > 0 for lead in ahead[level]), -sum(ahead[level])))


Compare = Callable[[Sequence[Outcome], Sequence[Outcome]], Difference]
"""The trials of one level of a factor less those of another."""


def compare_all(
    levels: Mapping[object, Sequence[Outcome]], ordered: Sequence[object], compare: Compare
) -> dict[tuple[object, object], Difference]:
    """Each pair of levels, the worse less the better: which one is the best was not known beforehand."""
    return {
        (worse, better): compare(levels[worse], levels[better]) for better, worse in combinations(ordered, 2)
    }


def cells_comparison(design: Design, factor: str) -> Compare:
    """Compares two levels within the combinations of the other factors that both have."""
    names = design.comes_with(factor)

    def compare(group: Sequence[Outcome], best: Sequence[Outcome]) -> Difference:
        ours, theirs = means_without(group, names), means_without(best, names)
        common = [ours[key] - theirs[key] for key in ours if key in theirs]
        return paired(common) if common else Difference(value=fmean(ours.values()) - fmean(theirs.values()))

    return compare


def compare_trials(group: Sequence[Outcome], best: Sequence[Outcome]) -> Difference:
    return welch(values_of(group), values_of(best))


def means_without(group: Sequence[Outcome], names: Collection[str]) -> dict[str, float]:
    """The mean of each combination of the other factors, over seeds and over what `names` has besides."""
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in group:
        if outcome.value is not None:
            values[outcome.without(names)].append(outcome.value)
    return {key: fmean(found) for key, found in values.items()}


def best_cell(group: Sequence[Outcome], sign: float) -> float | None:
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in group:
        if outcome.value is not None:
            values[outcome.cell].append(outcome.value)
    means = [fmean(found) for found in values.values()]
    return sign * max(sign * mean for mean in means) if means else None


def values_of(group: Sequence[Outcome]) -> list[float]:
    return [outcome.value for outcome in group if outcome.value is not None]
