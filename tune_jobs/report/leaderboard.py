"""Rows of a study as the tables that people look at: the best trials, the rungs, the studies of a store.

Everything here is computed from the store's frames; nothing is remembered from the run.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TypeVar

import pandas as pd

from eml_models.wording import count_of
from tune_jobs.report.for_people import NETWORK, PARAMS, TRIAL, name_networks, short_params
from tune_jobs.report.tables import Table, format_value
from tune_jobs.study import METRICS, Direction
from tune_jobs.trial import Decision, State

T = TypeVar("T")
MACS = 4
"""Where a network's MACs stand in a leaderboard's row."""


def leaderboard(trials: pd.DataFrame, starts: pd.DataFrame, *, metric: str, top: int = 10) -> Table:
    """The best trials that ran to their end; where none did, the best of those that were stopped.

    Args:
        starts: of the same study, which say what network each trial trained.
    """
    scored = trials[trials["objective"].notna()]
    completed = scored[scored["state"] == State.COMPLETED]
    shown = completed if len(completed) else scored
    ascending = METRICS[metric] is Direction.MINIMIZE
    best = shown.sort_values(["objective", "number"], ascending=[ascending, True]).head(top)
    networks = name_networks(starts, best["number"])
    rows: list[tuple[object, ...]] = [
        (
            row["number"],
            row["objective"],
            row["epochs"],
            row["train_s"],
            row["macs"],
            short_params(str(row["params"])),
            networks.get(row["number"]),
        )
        for row in best.to_dict("records")
    ]
    columns: tuple[str, ...] = (TRIAL, metric, "epochs", "train_s", "macs", PARAMS, NETWORK)
    if len({row[MACS] for row in rows}) == 1:  # one network for all: it says nothing about who is better
        columns, rows = _without(MACS, columns), [_without(MACS, row) for row in rows]
    kind = "completed" if len(completed) or not len(scored) else "stopped"
    return Table(
        title=f"best {len(rows)} of {count_of(len(shown), f'{kind} trial')}",
        columns=columns,
        rows=tuple(rows),
        empty=way_on(trials),
    )


def studies_for_people(table: Table) -> Table:
    """`studies` with the states that have trials, and instants to the minute."""
    nothing = {
        name
        for index, name in enumerate(table.columns)
        if name in list(State) and not any(row[index] for row in table.rows)
    }
    kept = [index for index, name in enumerate(table.columns) if name not in nothing]
    at = table.columns.index("created_at")
    rows = tuple(tuple(f"{row[i]:%Y-%m-%d %H:%M}" if i == at else row[i] for i in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[index] for index in kept), rows=rows)


def way_on(trials: pd.DataFrame) -> str:
    """Why a study has no completed trial to show, and what to do about it."""
    if not len(trials):
        return "No trial has ended yet. Wait if the study runs, else give the same command again: it goes on."
    counts = {state: int((trials["state"] == state).sum()) for state in State}
    said = [
        f"{count_of(counts[state], 'trial')} {what}. {way_out}"
        for state, what, way_out in WAYS_OUT
        if counts[state]
    ]
    return " ".join(["No trial has completed.", *said])


WAYS_OUT = (
    (
        State.STOPPED,
        "stopped at a rung",
        "Train more with --trials, or all to their last epoch with --no-asha and another --name.",
    ),
    (
        State.FAILED,
        "failed",
        "`show` has the last reason, the column error of the view trials every whole error; mend the cause"
        " and run again with --retry-failed.",
    ),
    (
        State.INFEASIBLE,
        "refused before training",
        "Move the limits, or widen the space, with another --name.",
    ),
    (State.CANCELLED, "cancelled", "Train others with --trials."),
)
"""The states of a trial that did not complete, what happened to it, and what helps."""


def _without(index: int, items: tuple[T, ...]) -> tuple[T, ...]:
    return items[:index] + items[index + 1 :]


def states(trials: pd.DataFrame, reports: pd.DataFrame) -> Table:
    """How the trials ended: counts, epochs and training seconds by state, and the last reason of each.

    Seconds are those of each epoch's first training, as in the ledger, where what was trained again after
    an interruption has a class of its own.
    """
    first = reports.sort_values("seq").drop_duplicates(["number", "epoch"])
    train_s = first.groupby("number")["epoch_s"].sum()
    rows = []
    for state in State:
        group = trials[trials["state"] == state]
        if len(group):
            last = group.sort_values("seq").iloc[-1]
            seconds = float(train_s.reindex(group["number"]).sum())
            rows.append((str(state), len(group), group["epochs"].sum(), seconds, last["reason"]))
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
        empty="The store holds no study yet; the first run with --store makes one.",
    )


def _range(values: pd.Series[float]) -> str | None:
    if not len(values):
        return None
    return f"{format_value(float(values.min()))} .. {format_value(float(values.max()))}"
