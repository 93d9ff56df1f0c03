"""The tables of `show` and `list`: the best trials, the ends of trials, the rungs, the studies of a store.

Made from the store's frames alone, so a table is the same during a run and after it. Called by `documents`
and `front`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from eml_models.wording import count_of
from tune_jobs.report.column_numbers import AS_WHOLE, column_format, whole, whole_column
from tune_jobs.report.for_people import METRICS, NETWORK, PARAMS, TRIAL, name_networks
from tune_jobs.report.last_runs import NO_END, NO_RUN, last_run
from tune_jobs.report.tables import Table
from tune_jobs.search.history import rung_between
from tune_jobs.store.files.holders import Hold
from tune_jobs.study.events import SessionEnd
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.objective import Direction, Objective
from tune_jobs.study.rows import Decision, State, own_numbers

PREFIX = "metric_"
"""Before the name of an objective that a table's column has already, as in the views of queries."""

RETURNED_EARLY = "returned early"
"""The column of completed trials whose training function returned before the study's last epoch."""

LAST_RUN, HELD_BY = "last_run", "held_by"
LAST_RUNS_SQL = f"""
    select study, coalesce(detail->>'how', '{NO_END}') as how
    from events where kind in ('session_started', 'session_ended')
    qualify row_number() over (partition by study order by seq desc) = 1
"""
"""How the last run of each study ended by its rows; `NO_END` if it still runs or was killed."""

_COUNTS = ", ".join(f"count(*) filter (state = '{state}') as {state}" for state in State)
_SCORED = f"filter (state = '{State.COMPLETED}' and not isnan(objective))"
STUDIES_SQL = f"""
    with runs as ({LAST_RUNS_SQL}),
    counts as (
        select study, {_COUNTS}, min(objective) {_SCORED} as least, max(objective) {_SCORED} as most
        from trials group by study
    )
    select studies.study, studies.definition, studies.created_at, coalesce(how, '{NO_RUN}') as how,
        {", ".join(f"coalesce({state}, 0) as {state}" for state in State)}, least, most
    from studies left join counts using (study) left join runs using (study) order by studies.study
"""
"""The studies with numbers of trials by state and the ends of their last runs: a single query, so that all
numbers are of the same instant, and no trial is loaded."""


def leaderboard(trials: pd.DataFrame, starts: pd.DataFrame, *, objective: Objective, top: int = 10) -> Table:
    """The best completed trials, or the best stopped trials if none completed.

    Args:
        starts: starts of the same study, from which the networks of the trials are named.
    """
    scored = trials[trials["objective"].notna()]
    completed = ranked(trials, objective)
    shown = completed if len(completed) else _sorted(scored, objective)
    best = shown.head(top)
    values = list(best["objective"])
    values = whole_column(values) if objective.own else values
    networks = name_networks(starts, best["number"])
    rows: list[tuple[object, ...]] = [
        (
            row["number"],
            value,
            row["epochs"],
            row["train_s"],
            row["macs"],
            str(row["params"]),
            networks.get(row["number"]),
        )
        for row, value in zip(best.to_dict("records"), values, strict=True)
    ]
    kind = "completed" if len(completed) or not len(scored) else "stopped"
    fixed = ("epochs", "train_s", "macs", PARAMS, NETWORK)
    table = Table(
        title=f"best {len(rows)} of {count_of(len(shown), f'{kind} trial')}",
        columns=(TRIAL, column_of(objective.metric, (TRIAL, *fixed)), *fixed),
        rows=tuple(rows),
        best=(0,),
        empty=way_on(trials),
    )
    # equal MACs for all rank nothing, and own training may compute none
    unknown = objective.own and not trials["macs"].notna().any()
    table = table.without("macs") if unknown or best["macs"].nunique(dropna=False) == 1 else table
    return metrics_column(table, best)


def column_of(metric: str, columns: Sequence[str]) -> str:
    """The column of an objective: its name, with a prefix if a table has a column of this name already."""
    return f"{PREFIX}{metric}" if metric in (*columns, METRICS) else metric


def metrics_column(table: Table, trials: pd.DataFrame) -> Table:
    """The table with the metrics of own training at the trials' last reports, as JSON, if there are any.

    Args:
        trials: the trials of the table's rows, in their order.
    """
    texts = [str(text) for text in trials[METRICS]] if METRICS in trials else []
    if all(text == "{}" for text in texts):
        return table
    rows = tuple((*row, text) for row, text in zip(table.rows, texts, strict=True))
    return replace(table, columns=(*table.columns, METRICS), rows=rows)


def ranked(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """The completed trials that have an objective, the best first; of equals, the earlier first."""
    scored = trials[trials["objective"].notna()]
    return _sorted(scored[scored["state"] == State.COMPLETED], objective)


def _sorted(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    ascending = objective.direction is Direction.MINIMIZE
    return trials.sort_values(["objective", "number"], ascending=[ascending, True])


def studies_for_people(table: Table) -> Table:
    """`studies` without states that no trial has, without last runs if all finished, and with dates."""
    nothing = {
        name
        for index, name in enumerate(table.columns)
        if name in list(State) and not any(row[index] for row in table.rows)
    }
    runs = table.columns.index(LAST_RUN)
    if all(row[runs] == SessionEnd.FINISHED for row in table.rows):
        nothing.add(LAST_RUN)
    at = table.columns.index("created_at")
    rows = tuple((*row[:at], f"{row[at]:%Y-%m-%d}", *row[at + 1 :]) for row in table.rows)
    return replace(table, rows=rows).without(HELD_BY, *nothing)


def way_on(trials: pd.DataFrame) -> str:
    """A sentence on why a study has no completed trial, and on the way out."""
    if not len(trials):
        return "No trial has ended yet. Wait if the study runs, else run the same command again."
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
        "`show STUDY TRIAL` has the traceback of each. Mend the cause and run the same command with"
        " --retry-failed.",
    ),
    (
        State.INFEASIBLE,
        "refused before training",
        "Move the limits, or widen the space, with another --name.",
    ),
)
"""States of a trial that did not complete, each with its words and the way out."""


def states(trials: pd.DataFrame, reports: pd.DataFrame, *, of: int | None = None) -> Table:
    """How the trials ended: counts, epochs, training seconds and the last reason of each state.

    Seconds count the first training of each epoch. Epochs that were trained again after an interruption have
    a class of their own in the ledger.

    Args:
        of: the epochs after which a trial of own training is complete; a function may return before.
    """
    first = reports.sort_values("seq").drop_duplicates(["number", "epoch"])
    train_s = first.groupby("number")["epoch_s"].sum()
    rows = []
    for state in State:
        group = trials[trials["state"] == state]
        if len(group):
            last = group.sort_values("seq").iloc[-1]
            seconds = float(train_s.reindex(group["number"]).sum())
            early = int((group["epochs"] < of).sum()) if of is not None and state is State.COMPLETED else 0
            epochs = group["epochs"].sum()
            rows.append((str(state), len(group), early or None, epochs, seconds, last["reason"]))
    table = Table(
        title="how trials ended",
        columns=("state", "trials", RETURNED_EARLY, "epochs", "train_s", "last reason"),
        rows=tuple(rows),
        states=("state",),
    )
    return table if any(row[2] for row in rows) else table.without(RETURNED_EARLY)


def rungs(reports: pd.DataFrame, epochs: Sequence[int], *, objective: Objective) -> Table:
    """The decisions at each rung: trials that reached it, trials stopped, and the ranges of their values.

    If a trial did not report the rung's own epoch, its next report was judged there. If a later attempt
    reached the rung again, the first report counts.

    Args:
        epochs: epochs of the study's rungs, ascending.
    """
    decided = reports[reports["decision"].notna()].sort_values("seq")
    reached = decided["epoch"].map(lambda epoch: rung_between(epochs, 0, epoch))
    decided = decided.assign(rung=reached, value=_values_of(objective, decided))
    decided = decided.drop_duplicates(["number", "rung"])
    values = decided["value"].dropna()
    is_whole = objective.own and all(isinstance(whole(float(value)), int) for value in values)
    rows, spec = [], AS_WHOLE if is_whole else column_format(values)
    for epoch, group in decided.groupby("rung"):
        went_on = group[group["decision"] == Decision.CONTINUE]["value"]
        stopped = group[group["decision"] == Decision.STOP]["value"]
        rows.append((epoch, len(group), len(stopped), _range(stopped, spec), _range(went_on, spec)))
    return Table(
        title="decisions at the rungs",
        columns=("rung", "trials", "stopped", f"{objective.metric}: stopped", "continued"),
        rows=tuple(rows),
    )


def _values_of(objective: Objective, reports: pd.DataFrame) -> pd.Series[float]:
    """The objective of each report. A metric of own training may have the name of another column."""
    if not objective.own:
        return reports[objective.metric]
    return reports[METRICS].map(lambda text: own_numbers(text).get(objective.metric))


def studies(found: pd.DataFrame, holds: Mapping[str, Hold | None]) -> Table:
    """The studies of a store: trials by state, the best objective and how the last run of each ended.

    Args:
        found: the answer of a store to `STUDIES_SQL`.
        holds: the locks of the studies, which tell a living run from a killed run.
    """
    rows = []
    for row in found.to_dict("records"):
        definition = parse_object(str(row["definition"]))
        objective = definition["objectives"][0]
        best = row["least"] if objective["direction"] == Direction.MINIMIZE else row["most"]
        counts = [row[str(state)] for state in State]
        best = None if pd.isna(best) else best
        best = best if definition.get("train") is None else whole(best)
        named = (row["study"], objective["metric"], best)
        hold = holds.get(row["study"])
        held_by = hold.describe() if hold is not None and hold.lives is not False else None
        rows.append((*named, *counts, last_run(row["how"], hold), held_by, row["created_at"]))
    return Table(
        columns=("study", "objective", "best", *map(str, State), LAST_RUN, HELD_BY, "created_at"),
        rows=tuple(rows),
        states=(*State, LAST_RUN),
        empty="The store holds no study yet. The first run with --store adds one.",
    )


def _range(values: pd.Series[float], spec: str) -> str | None:
    if not len(values):
        return None
    return f"{float(values.min()):{spec}} .. {float(values.max()):{spec}}"
