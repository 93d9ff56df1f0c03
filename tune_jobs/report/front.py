"""The front of a study with several objectives, and its hypervolume by epochs spent, as tables.

The hypervolume is the share of the box between an ideal and a reference that the front dominates
(`tune_jobs.search.pareto.hypervolume`). Made from the store's frames. Called by `documents`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from eml_models.wording import count_of
from tune_jobs.report.column_numbers import nearest_float, whole_column
from tune_jobs.report.for_people import NETWORK, PARAMS, TRIAL, name_networks
from tune_jobs.report.leaderboard import column_of, metrics_column, way_on
from tune_jobs.report.tables import Table
from tune_jobs.search.objectives import Point
from tune_jobs.search.pareto import hypervolume, non_dominated
from tune_jobs.study.json_fields import objectives_from_json
from tune_jobs.study.objective import COSTS, Direction, Objective
from tune_jobs.study.rows import State

LIMIT_OF = {"macs": "max_macs", "parameters": "max_parameters", "latency_ms": "max_latency_ms"}
"""The limit on each cost."""

MARGIN = 1.1
"""Factor from the worst value to the reference, for a cost or loss without a limit."""

OF_OWN = 0.1
"""The part of the range of values of own training by which the reference lies beyond the worst of them."""

QUARTERS = 4
"""The number of parts of the epochs spent; the hypervolume is shown at the end of each."""


def front(trials: pd.DataFrame, starts: pd.DataFrame, objectives: Sequence[Objective]) -> Table:
    """The completed trials that no other dominates, sorted by the first objective."""
    completed = _completed(trials, objectives)
    points = _points(completed, objectives)
    members = completed.iloc[non_dominated(points, [objective.direction for objective in objectives])]
    values = _value_columns(objectives)
    ascending = [objective.direction is Direction.MINIMIZE for objective in objectives]
    members = members.sort_values([*values, "number"], ascending=[*ascending, True])
    names = [objective.metric for objective in objectives]
    own = objectives[0].own
    extra = [c for c in ("macs", "parameters") if c not in names and _is_known(trials[c], own=own)]
    fixed = (TRIAL, *extra, "epochs", "train_s", PARAMS, NETWORK)
    networks = name_networks(starts, members["number"])
    shown = [
        whole_column(list(members[column])) if o.own else [_whole(o.metric, v) for v in members[column]]
        for o, column in zip(objectives, values, strict=True)
    ]
    rows = tuple(
        (
            row["number"],
            *(column[index] for column in shown),
            *(_whole(cost, row[cost]) for cost in extra),
            row["epochs"],
            row["train_s"],
            str(row["params"]),
            networks.get(row["number"]),
        )
        for index, row in enumerate(members.to_dict("records"))
    )
    table = Table(
        title=f"the front: {len(rows)} of {count_of(len(completed), 'completed trial')}; none beats these",
        columns=(TRIAL, *(column_of(name, fixed) for name in names), *fixed[1:]),
        rows=rows,
        empty=way_on(trials),
    )
    return metrics_column(table, members)


def worth(
    trials: pd.DataFrame, reports: pd.DataFrame, objectives: Sequence[Objective], limits: Mapping[str, Any]
) -> Table:
    """The hypervolume of the front after each quarter of the epochs spent."""
    completed = _completed(trials, objectives)
    ideal, reference = box(_points(_valued(trials, objectives), objectives), objectives, limits)
    spent = sorted(reports["seq"])
    ends = [len(spent) * quarter // QUARTERS for quarter in range(QUARTERS + 1)]
    rows = []
    for before, epochs in pairwise(ends):
        if epochs == before:
            continue
        # the row of a trial's end stands right behind its last report
        last = spent[epochs] if epochs < len(spent) else float("inf")
        known = completed[completed["seq"] < last]
        rows.append((epochs, len(known), _volume(_points(known, objectives), objectives, ideal, reference)))
    named = zip(objectives, ideal, reference, strict=True)
    sides = ", ".join(f"{objective.metric} {worst:,.10g}..{best:,.10g}" for objective, best, worst in named)
    return Table(
        title="the front's hypervolume, by epochs spent",
        columns=("epochs spent", "completed", f"hypervolume ({sides})"),
        rows=tuple(rows),
    )


def box(
    points: Sequence[Point], objectives: Sequence[Objective], limits: Mapping[str, Any]
) -> tuple[Point, Point]:
    """The ideal and the reference: accuracies from 0 to 1; losses, costs and latencies down to 0.

    The reference of a loss, cost or latency is the study's limit, or `MARGIN` times the worst of `points` if
    there is no limit. The range of a metric of own training is unknown: its ideal is the best of `points`,
    and its reference lies beyond the worst by `OF_OWN` of their range.

    `points` are those of all trials with values, also of stopped trials. With completed trials alone, the
    worst of them would add no volume, and a worse trial would change the box.
    """
    ideal, reference = [], []
    for column, objective in enumerate(objectives):
        rising = objective.direction is Direction.MAXIMIZE
        if objective.own:
            best, worst = _ends_of_own([point[column] for point in points], rising=rising)
            ideal.append(best)
            reference.append(worst)
            continue
        limit = limits.get(LIMIT_OF.get(objective.metric, ""))
        worst = nearest_float(MARGIN * max((point[column] for point in points), default=1.0))
        ideal.append(1.0 if rising else 0.0)
        reference.append(0.0 if rising else float(limit or worst or 1.0))
    return tuple(ideal), tuple(reference)


def _ends_of_own(values: Sequence[float], *, rising: bool) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    beyond = (OF_OWN * high - OF_OWN * low if high - low == math.inf else OF_OWN * (high - low)) or 1.0
    return (high, nearest_float(low - beyond)) if rising else (low, nearest_float(high + beyond))


def _volume(
    points: Sequence[Point], objectives: Sequence[Objective], ideal: Point, reference: Point
) -> float:
    directions = [objective.direction for objective in objectives]
    return hypervolume(points, directions, ideal=ideal, reference=reference)


def _completed(trials: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """The completed trials that have all values, with a column for each objective."""
    valued = _valued(trials, objectives)
    return valued[valued["state"] == State.COMPLETED]


def _valued(trials: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """The trials with a value of each objective at their last epoch, in `_value_columns`."""
    ended = trials[trials["state"].isin([State.COMPLETED, State.STOPPED])].copy()
    stored = [objectives_from_json(text) for text in ended["objectives"]]
    columns = _value_columns(objectives)
    for objective, column in zip(objectives, columns, strict=True):
        values = [values.get(objective.metric) for values in stored]
        ended[column] = ended[objective.metric] if objective.is_cost else values
    return ended.dropna(subset=columns)


def _value_columns(objectives: Sequence[Objective]) -> list[str]:
    """A column for each objective that no table and no metric has: metrics may be called as columns are."""
    return [f"\0{index}" for index in range(len(objectives))]


def _points(completed: pd.DataFrame, objectives: Sequence[Objective]) -> list[Point]:
    columns = _value_columns(objectives)
    return [tuple(map(float, values)) for values in completed[columns].itertuples(index=False, name=None)]


def _is_known(values: pd.Series[Any], *, own: bool) -> bool:
    """Whether any trial has this cost; own training may compute none."""
    return bool(values.notna().any()) or not (own or len(values))


def _whole(name: str, value: Any) -> object:
    if pd.isna(value):
        return None
    return int(value) if name in COSTS and float(value).is_integer() else float(value)
