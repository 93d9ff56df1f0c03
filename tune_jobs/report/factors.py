"""What the parameters of a study did to its objective: cells of a grid, tables a factor, correlations.

In a grid every cell is trained as often as any other, so that levels of a factor can be compared within the
same cells of the others. An adaptive search trains most where it is good, and early stopping lets the good
ones end: means over its trials say where it went, not what a level is worth, and nothing is tested there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

import pandas as pd

from eml_models.wording import count_of
from tune_jobs.analysis.intervals import (
    Difference,
    estimate,
    holm,
    paired,
    span_of,
    verdict,
    welch,
    with_interval,
)
from tune_jobs.report.tables import Table, format_value
from tune_jobs.study.definition import REPEAT
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.method import SamplerName
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import State, as_json_text

DIFFERENCE = "difference"
"""What people see in place of the difference, its interval, p and the verdict."""

MIN_CORRELATED = 10
"""Trials. Of ten, chance alone gives a rank correlation beyond 0.648 once in 20; of fewer, a larger one."""

LACKING = "some cells lack trials, which a mean leaves out; the order is that within the cells in common"
"""What the table of a factor says where its levels have different numbers of trials."""


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

    `conditions` names for each parameter that applies under a condition the one that it depends on.
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


def cells_table(outcomes: Sequence[Outcome], design: Design, top: int | None = None) -> Table:
    """One row a cell of the grid, the best first; cells whose trials all failed come last."""
    cells: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        cells[outcome.cell].append(outcome)
    rows = []
    for group in cells.values():
        values = _values(group)
        found = estimate(values).within(span_of(design.metric)) if values else None
        rows.append(
            (
                *(group[0].params.get(name) for name in design.factors),
                len(values),
                len(group) - len(values),
                *((found.mean, found.low, found.high) if found else (None, None, None)),
            )
        )
    mean = len(design.factors) + 2
    rows.sort(key=lambda row: (row[mean] is None, -design.sign * (row[mean] or 0.0)))
    return Table(
        title=f"{count_of(len(rows), 'cell')}; the mean over seeds with its 95 % interval (Student's t)",
        columns=(*design.factors, "n", "failed", design.metric, "low", "high"),
        rows=tuple(rows[:top]),
    )


def factor_table(outcomes: Sequence[Outcome], design: Design, factor: str) -> Table:
    """One row a level of a factor, the best first, and how much worse than the best level it is.

    In a grid levels are compared within the cells that both have in common, by a paired t over these: a
    level's own spread is that of the other factors and not of chance. Where nothing else varies each level
    is a single cell, and its spread that of its seeds: then they are compared by Welch's t over these, as in
    a random search over trials. P values are corrected over all pairs of levels, since the best one was not
    known beforehand. `best` is the best cell of the level, the mean over its seeds. The order is that of
    `_ranked`.
    """
    levels: dict[object, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if factor in outcome.params:
            levels[outcome.params[factor]].append(outcome)
    means = {level: fmean(values) for level, group in levels.items() if (values := _values(group))}
    by_cells = design.is_grid and not _vary_alone(levels, design.comes_with(factor))
    compare = _cells_comparison(design, factor) if by_cells else _compare_trials
    ordered = _ranked(levels, means, design, factor)
    judged = [] if design.is_adaptive else ordered
    differences = _compare_all(levels, judged, compare)
    ordered = [*ordered, *(level for level in levels if level not in means)]
    corrected = dict(zip(differences, holm([d.p for d in differences.values()]), strict=True))
    found = {pair: difference.within(span_of(design.metric)) for pair, difference in differences.items()}
    rows = []
    for level in ordered:
        group = levels[level]
        row: tuple[object, ...] = (
            level,
            len(_values(group)),
            len(group) - len(_values(group)),
            means.get(level),
            _best_cell(group, design.sign),
        )
        if not design.is_adaptive:
            pair = level, ordered[0]
            row += _compared(found[pair], corrected[pair]) if pair in found else (None,) * 5
        rows.append(row)
    columns: tuple[str, ...] = (factor, "n", "failed", design.metric, "best")
    if not design.is_adaptive:
        columns += (DIFFERENCE, "diff_low", "diff_high", "p", "verdict")
    lacks = design.is_grid and len({row[1] for row in rows}) > 1
    return Table(
        title=_factor_title(factor, design, by_cells=by_cells),
        note=LACKING if lacks else "",
        columns=columns,
        rows=tuple(rows),
    )


def for_people(table: Table) -> Table:
    """The table without failures if there are none, and each difference with its verdict in one text."""
    failed = table.columns.index("failed") if "failed" in table.columns else None
    if failed is not None and not any(row[failed] for row in table.rows):
        table = table.without("failed")
    if DIFFERENCE not in table.columns:
        return table
    at = table.columns.index(DIFFERENCE)
    rows = [(*row[:at], _difference_in_words(row[at:])) for row in table.rows]
    columns = (*table.columns[:at], DIFFERENCE)
    return Table(title=table.title, note=table.note, columns=columns, rows=tuple(rows), below=(DIFFERENCE,))


def _difference_in_words(cells: Sequence[Any]) -> str | None:
    value, low, high, p, said = cells
    if value is None:
        return None
    found = "" if p is None else f", p {format_value(p)}"
    return f"less the best: {with_interval(value, low, high)}{found}, {said}"


def correlations_table(outcomes: Sequence[Outcome], design: Design) -> Table:
    """Spearman's rank correlation of each number with the objective, the strongest first.

    Those of fewer than `MIN_CORRELATED` trials are left out.
    """
    rows = []
    for name in design.numbers:
        pairs = [(o.params[name], o.value) for o in outcomes if name in o.params and o.value is not None]
        frame = pd.DataFrame(pairs, columns=["number", "value"], dtype="float64")
        too_few = len(frame) < MIN_CORRELATED
        if too_few or frame["number"].nunique() < 2 or frame["value"].nunique() < 2:
            continue
        rows.append((name, len(frame), float(frame["number"].rank().corr(frame["value"].rank()))))
    rows.sort(key=lambda row: -abs(row[2]))
    biased = "; biased, since the search chose where to look" if design.is_adaptive else ""
    return Table(
        title=f"rank correlation (Spearman) of each number with {design.metric}{biased}",
        columns=("parameter", "n", "correlation"),
        rows=tuple(rows),
    )


def _vary_alone(levels: Mapping[object, Sequence[Outcome]], names: Collection[str]) -> bool:
    """Whether each level is one cell, of trials that differ in their seeds, and no other factor varies."""
    others = {outcome.without(names) for group in levels.values() for outcome in group}
    return len(others) == 1 and all(
        len({outcome.cell for outcome in group}) == 1 for group in levels.values()
    )


def _factor_title(factor: str, design: Design, *, by_cells: bool) -> str:
    if design.is_adaptive:
        return (
            f"{factor}: trials that ran to their end; the search chose where to look and whom to stop, so"
            " these means are biased and nothing is tested"
        )
    over = "seeds" if design.is_grid else "trials"
    how = "paired t over the cells in common" if by_cells else f"Welch's t over {over}"
    return f"{factor}: mean over all else; differences to the best level ({how}; 95 %; Holm over all pairs)"


def _ranked(
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
    compare = _cells_comparison(design, factor)
    ahead = {
        level: [
            design.sign * compare(levels[level], levels[other]).value for other in by_mean if other != level
        ]
        for level in by_mean
    }
    return sorted(by_mean, key=lambda level: (-sum(lead > 0 for lead in ahead[level]), -sum(ahead[level])))


Compare = Callable[[Sequence[Outcome], Sequence[Outcome]], Difference]
"""The trials of one level of a factor less those of another."""


def _compare_all(
    levels: Mapping[object, Sequence[Outcome]], ordered: Sequence[object], compare: Compare
) -> dict[tuple[object, object], Difference]:
    """Each pair of levels, the worse less the better: which one is the best was not known beforehand."""
    return {
        (worse, better): compare(levels[worse], levels[better]) for better, worse in combinations(ordered, 2)
    }


def _cells_comparison(design: Design, factor: str) -> Compare:
    """Compares two levels within the combinations of the other factors that both have."""
    names = design.comes_with(factor)

    def compare(group: Sequence[Outcome], best: Sequence[Outcome]) -> Difference:
        ours, theirs = _means_without(group, names), _means_without(best, names)
        common = [ours[key] - theirs[key] for key in ours if key in theirs]
        return paired(common) if common else Difference(value=fmean(ours.values()) - fmean(theirs.values()))

    return compare


def _compare_trials(group: Sequence[Outcome], best: Sequence[Outcome]) -> Difference:
    return welch(_values(group), _values(best))


def _means_without(group: Sequence[Outcome], names: Collection[str]) -> dict[str, float]:
    """The mean of each combination of the other factors, over seeds and over what `names` has besides."""
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in group:
        if outcome.value is not None:
            values[outcome.without(names)].append(outcome.value)
    return {key: fmean(found) for key, found in values.items()}


def _best_cell(group: Sequence[Outcome], sign: float) -> float | None:
    values: dict[str, list[float]] = defaultdict(list)
    for outcome in group:
        if outcome.value is not None:
            values[outcome.cell].append(outcome.value)
    means = [fmean(found) for found in values.values()]
    return sign * max(sign * mean for mean in means) if means else None


def _values(group: Sequence[Outcome]) -> list[float]:
    return [outcome.value for outcome in group if outcome.value is not None]


def _compared(found: Difference, p: float | None) -> tuple[object, ...]:
    return (found.value, found.low, found.high, p, verdict(p))
