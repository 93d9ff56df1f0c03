"""Effects of parameters as tables: the cells of a grid, the levels of each factor, and correlations.

`tune_jobs.analysis.factors` compares levels and says which comparisons are fair. In an adaptive search none
is, so its tables have means without a test. Called by `documents`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from eml_models.wording import count_of
from tune_jobs.analysis.factors import (
    Design,
    Outcome,
    best_cell,
    cells_comparison,
    compare_all,
    compare_trials,
    ranked,
    values_of,
    vary_alone,
)
from tune_jobs.analysis.intervals import (
    Difference,
    estimate,
    holm,
    mean_of,
    verdict,
    with_interval,
)
from tune_jobs.report.for_people import METRICS, NETWORK, PARAMS, TRIAL
from tune_jobs.report.leaderboard import PREFIX as METRIC_PREFIX
from tune_jobs.report.tables import Table
from tune_jobs.report.text import format_value
from tune_jobs.store.columns.schema import PARAM_PREFIX

DIFFERENCE = "difference"
"""The column that holds, for people, a difference, its interval, p and the verdict in one text."""

MIN_CORRELATED = 10
"""The least number of trials. Among ten, chance gives a rank correlation beyond 0.648 once in 20."""

LACKING = "some cells lack trials, so means are over different cells; the order is by cells in common"
"""The note of a factor's table whose levels have different numbers of trials."""


OF_TABLES = frozenset(
    {
        TRIAL,
        PARAMS,
        NETWORK,
        METRICS,
        "n",
        "failed",
        "low",
        "high",
        "best",
        DIFFERENCE,
        "diff_low",
        "diff_high",
    }
    | {"p", "verdict"}
)
"""Columns of the tables here, and those by which a table is known to hold trials. A param or a metric of such
a name has a prefix, as in the views of queries."""


def _columns_of(factors: Sequence[str], design: Design) -> tuple[tuple[str, ...], str]:
    """The columns of factors and of the objective, which differ from each other and from `OF_TABLES`."""
    metric = f"{METRIC_PREFIX}{design.metric}" if design.metric in OF_TABLES else design.metric
    taken = {*OF_TABLES, metric}
    return tuple(f"{PARAM_PREFIX}{name}" if name in taken else name for name in factors), metric


def cells_table(outcomes: Sequence[Outcome], design: Design, top: int | None = None) -> Table:
    """A row for each cell of a grid, the best first; cells whose trials all failed come last."""
    cells: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        cells[outcome.cell].append(outcome)
    rows = []
    for group in cells.values():
        values = values_of(group)
        found = estimate(values).within(design.span) if values else None
        rows.append(
            (
                *(group[0].params.get(name) for name in design.factors),
                len(values),
                len(group) - len(values),
                *((found.mean, found.low, found.high) if found else (None, None, None)),
            )
        )
    mean = len(design.factors) + 2
    factors, metric = _columns_of(design.factors, design)
    rows.sort(key=lambda row: (row[mean] is None, -design.sign * (row[mean] or 0.0)))
    return Table(
        title=f"{count_of(len(rows), 'cell')}; the mean over seeds with its 95 % interval (Student's t)",
        columns=(*factors, "n", "failed", metric, "low", "high"),
        rows=tuple(rows[:top]),
        states=("failed",),
    )


def factor_table(outcomes: Sequence[Outcome], design: Design, *crossed: str) -> Table:
    """A row for each level of a factor, the best first, with its difference to the best level.

    Several factors are crossed: a level is a combination of their levels. A factor that does not apply to a
    trial, because of a condition, has no level there; a trial to which none applies is left out.

    In a grid, two levels are compared within the cells that they share, by a paired t over these cells,
    because the spread within a level comes from the other factors and not from chance. If no other factor
    varies, each level is a single cell and its spread comes from its seeds. Then levels are compared by
    Welch's t over seeds, and in a random search over trials. P values are corrected over all pairs of levels,
    because the best level was not known before. `best` is the mean over seeds of the level's best cell.
    `ranked` gives the order.
    """
    levels: dict[tuple[object, ...], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if any(factor in outcome.params for factor in crossed):
            levels[tuple(outcome.params.get(factor) for factor in crossed)].append(outcome)
    means = {level: mean_of(values) for level, group in levels.items() if (values := values_of(group))}
    by_cells = design.is_grid and not vary_alone(levels, design.comes_with(*crossed))
    compare = cells_comparison(design, *crossed) if by_cells else compare_trials
    ordered = ranked(levels, means, design, *crossed)
    judged = [] if design.is_adaptive else ordered
    differences = compare_all(levels, judged, compare)
    ordered = [*ordered, *(level for level in levels if level not in means)]
    corrected = dict(zip(differences, holm([d.p for d in differences.values()]), strict=True))
    found = {pair: difference.within(design.span) for pair, difference in differences.items()}
    rows = []
    for level in ordered:
        group = levels[level]
        row: tuple[object, ...] = (
            *level,
            len(values_of(group)),
            len(group) - len(values_of(group)),
            means.get(level),
            best_cell(group, design.sign),
        )
        if not design.is_adaptive:
            pair = level, ordered[0]
            row += _compared(found[pair], corrected[pair]) if pair in found else (None,) * 5
        rows.append(row)
    factors, metric = _columns_of(crossed, design)
    columns: tuple[str, ...] = (*factors, "n", "failed", metric, "best")
    if not design.is_adaptive:
        columns += (DIFFERENCE, "diff_low", "diff_high", "p", "verdict")
    lacks = design.is_grid and len({row[len(crossed)] for row in rows}) > 1
    return Table(
        title=_factor_title(" x ".join(crossed), design, by_cells=by_cells),
        note=LACKING if lacks else "",
        columns=columns,
        rows=tuple(rows),
        states=("failed",),
    )


def for_people(table: Table) -> Table:
    """The table with each difference and its verdict in one text, and without `failed` if no trial failed."""
    failed = table.columns.index("failed") if "failed" in table.columns else None
    if failed is not None and not any(row[failed] for row in table.rows):
        table = table.without("failed")
    if DIFFERENCE not in table.columns:
        return table
    at = table.columns.index(DIFFERENCE)
    rows = [(*row[:at], _difference_in_words(row[at:])) for row in table.rows]
    columns = (*table.columns[:at], DIFFERENCE)
    return replace(table, columns=columns, rows=tuple(rows), below=(DIFFERENCE,))


def _difference_in_words(cells: Sequence[Any]) -> str | None:
    value, low, high, p, said = cells
    if value is None:
        return None
    found = "" if p is None else f", p {format_value(p)}"
    return f"less the best: {with_interval(value, low, high)}{found}, {said}"


def correlations_table(outcomes: Sequence[Outcome], design: Design) -> Table:
    """Spearman's rank correlation of each number with the objective, the strongest first.

    Numbers with fewer than `MIN_CORRELATED` trials are left out.
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
    biased = "; biased, because the search chose where to look" if design.is_adaptive else ""
    return Table(
        title=f"rank correlation (Spearman) of each number with {design.metric}{biased}",
        columns=("parameter", "n", "correlation"),
        rows=tuple(rows),
    )


def _factor_title(factor: str, design: Design, *, by_cells: bool) -> str:
    if design.is_adaptive:
        return (
            f"{factor}: trials that ran to their end; the search chose the values and the trials to stop, so"
            " these means are biased and nothing is tested"
        )
    over = "seeds" if design.is_grid else "trials"
    how = "paired t over the cells in common" if by_cells else f"Welch's t over {over}"
    return f"{factor}: mean over all else; differences to the best level ({how}; 95 %; Holm over all pairs)"


def _compared(found: Difference, p: float | None) -> tuple[object, ...]:
    return (found.value, found.low, found.high, p, verdict(p))
