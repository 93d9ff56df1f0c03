"""Rows of a study as the tables that people look at: the best trials, the rungs, the studies of a store.

Everything here is computed from the store's frames; nothing is remembered from the run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar

import pandas as pd

from tune_jobs.report.tables import Table, format_value
from tune_jobs.study import METRICS, Direction
from tune_jobs.trial import Decision, State

T = TypeVar("T")
MACS = 4
"""Where a network's MACs stand in a leaderboard's row."""


def leaderboard(trials: pd.DataFrame, *, metric: str, top: int = 10) -> Table:
    """The best trials that ran to their end; where none did, the best of those that were stopped."""
    scored = trials[trials["objective"].notna()]
    completed = scored[scored["state"] == State.COMPLETED]
    shown = completed if len(completed) else scored
    ascending = METRICS[metric] is Direction.MINIMIZE
    best = shown.sort_values(["objective", "number"], ascending=[ascending, True]).head(top)
    rows: list[tuple[object, ...]] = [
        (row.number, row.objective, row.epochs, row.train_s, row.macs, short_params(str(row.params)))
        for row in best.itertuples()
    ]
    columns: tuple[str, ...] = ("trial", metric, "epochs", "train_s", "macs", "params")
    if len({row[MACS] for row in rows}) == 1:  # one network for all: it says nothing about who is better
        columns, rows = _without(MACS, columns), [_without(MACS, row) for row in rows]
    kind = "completed" if len(completed) or not len(scored) else "stopped"
    return Table(
        title=f"best {len(rows)} of {len(shown)} {kind} trials",
        columns=columns,
        rows=tuple(rows),
    )


def _without(index: int, items: tuple[T, ...]) -> tuple[T, ...]:
    return items[:index] + items[index + 1 :]


def states(trials: pd.DataFrame) -> Table:
    """How the trials ended: counts, epochs and training seconds by state, and the last reason of each."""
    rows = []
    for state in State:
        group = trials[trials["state"] == state]
        if len(group):
            last = group.sort_values("seq").iloc[-1]
            rows.append(
                (str(state), len(group), group["epochs"].sum(), group["train_s"].sum(), last["reason"])
            )
    return Table(
        title="how trials ended",
        columns=("state", "trials", "epochs", "train_s", "the last one's reason"),
        rows=tuple(rows),
    )


def rungs(reports: pd.DataFrame, *, metric: str) -> Table:
    """What each rung decided: how many came, how many were stopped, and the range of those that went on.

    Of an epoch that a later attempt reported again the first report counts.
    """
    decided = reports[reports["decision"].notna()].sort_values("seq")
    decided = decided.drop_duplicates(["number", "epoch"])
    rows = []
    for epoch, group in decided.groupby("epoch"):
        went_on = group[group["decision"] == Decision.CONTINUE][metric]
        stopped = group[group["decision"] == Decision.STOP][metric]
        rows.append((epoch, len(group), len(stopped), _range(stopped), _range(went_on)))
    return Table(
        title="what the rungs decided",
        columns=("rung", "trials", "stopped", f"{metric}: stopped", "went on"),
        rows=tuple(rows),
    )


def studies(studies_frame: pd.DataFrame, trials: pd.DataFrame) -> Table:
    """The studies of a store: trials by state and the best objective of each."""
    rows = []
    for row in studies_frame.sort_values("study").itertuples():
        own = trials[trials["study"] == row.study]
        objective = json.loads(str(row.definition))["objectives"][0]
        scored = own[(own["state"] == State.COMPLETED) & own["objective"].notna()]["objective"]
        best = None
        if len(scored):
            best = scored.min() if objective["direction"] == Direction.MINIMIZE else scored.max()
        counts = [int((own["state"] == state).sum()) for state in State]
        rows.append((row.study, objective["metric"], best, *counts, row.created_at))
    return Table(
        columns=("study", "objective", "best", *(str(state) for state in State), "created_at"),
        rows=tuple(rows),
    )


def short_params(text: str) -> str:
    """Params in one line: ``learning_rate=0.0123 optimizer=adam``."""
    params: Mapping[str, object] = json.loads(text)
    return " ".join(f"{name}={_short(value)}" for name, value in params.items())


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _range(values: pd.Series[float]) -> str | None:
    if not len(values):
        return None
    return f"{format_value(float(values.min()))} .. {format_value(float(values.max()))}"
