"""The page of one trial: its end, params, recipe, curve, decisions, attempts and log.

For people it is tables and the last lines of the log; for programs JSON is one object and CSV the curve.
Reads and prints nothing: `tune_jobs.cli.trial_commands` reads the store and prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.analysis.one_trial import ON_GPU, TrialFacts
from tune_jobs.report.column_numbers import whole, whole_column
from tune_jobs.report.for_people import EPOCHS, network_words
from tune_jobs.report.plain import plain
from tune_jobs.report.tables import Table
from tune_jobs.report.text import format_value
from tune_jobs.study.bindings import SEED
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.objective import COSTS
from tune_jobs.study.rows import ReportRow, State, own_numbers

MAX_EPOCHS = 40
"""The most epochs of a curve for people; of a longer curve evenly spaced epochs are shown."""

OF_OWN_RECIPE = "params"
"""The field of a recipe of own training that holds its params; their names mean nothing in the others."""

METRICS = ("val_accuracy", "val_loss", "test_accuracy", "train_accuracy", "train_loss", "latency_ms")
"""The metrics of a curve for people, without those that no report has."""

OF_THE_END = (
    "epochs",
    "best_epoch",
    *COSTS,
    "latency_ms",
    "peak_memory_bytes",
    "train_s",
    "wall_s",
    "device_s",
)
OF_THE_ORIGIN = ("seed", "device", "hostname", "torch_version", "data_fingerprint", "git_commit")
LEFT_OUT = frozenset({"study", "trial_id", "number", "seq", "params", "objectives"})
"""Columns of a row that the object of a trial has once, or in another form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLog:
    """The log of one attempt, as the page shows it.

    Attributes:
        where: its path or URL.
        text: of the whole log.
    """

    attempt: int
    where: str
    text: str


def trial_tables(facts: TrialFacts, *, metric: str) -> list[Table]:
    """The tables of the page for people; a table without rows is left out."""
    tables = [
        _end(facts),
        _params(facts),
        curve(facts, metric=metric),
        _decisions(facts, metric),
        _attempts(facts),
        _on_gpu(facts),
    ]
    if facts.recipe is not None:
        tables.insert(2, _recipe(facts, facts.recipe))
    return [table for table in tables if table.rows]


def trial_object(facts: TrialFacts, logs: Sequence[ShownLog]) -> dict[str, Any]:
    """The trial as JSON can hold it; `logs` are given with their whole texts."""
    end = facts.end
    return {
        "study": facts.study,
        "number": facts.number,
        "state": str(end.state) if end else None,
        "params": dict(facts.params),
        "recipe": facts.recipe,
        "objectives": parse_object(end.objectives) if end else {},
        "end": _columns(end) if end else None,
        "reports": [_columns(report) for report in facts.reports],
        "attempts": [_columns(attempt) for attempt in facts.attempts],
        "logs": [asdict(log) for log in logs],
    }


def curve(facts: TrialFacts, *, metric: str, whole: bool = False) -> Table:
    """The reports of a trial, by epoch.

    Args:
        whole: whether all epochs and columns are given, as programs need them.
    """
    if whole:
        names = [f.name for f in fields(ReportRow) if f.name not in LEFT_OUT]
        rows = tuple(tuple(getattr(report, name) for name in names) for report in facts.reports)
        return Table(columns=tuple(names), rows=rows)
    own = dict.fromkeys(name for report in facts.reports for name in own_numbers(report.metrics))
    order = dict.fromkeys((metric, *METRICS, *own))
    names = [n for n in order if any(report.value(n) is not None for report in facts.reports)]
    shown = _thinned(facts.reports)
    values = [[report.value(name) for report in shown] for name in names]
    cells = [whole_column(v) if name in own else v for name, v in zip(names, values, strict=True)]
    left_out = len(facts.reports) - len(shown)
    return Table(
        title="curve",
        note=f"{left_out} of {len(facts.reports)} epochs are left out; --format csv has all"
        if left_out
        else "",
        columns=("epoch", *names, "epoch_s"),
        rows=tuple((r.epoch, *(cell[i] for cell in cells), r.epoch_s) for i, r in enumerate(shown)),
    )


def _thinned(reports: Sequence[ReportRow]) -> list[ReportRow]:
    """At most about `MAX_EPOCHS` reports, evenly spaced, with each decision and the last."""
    step = -(-len(reports) // MAX_EPOCHS) or 1
    last = len(reports) - 1
    return [r for i, r in enumerate(reports) if i % step == 0 or i == last or r.decision is not None]


def _end(facts: TrialFacts) -> Table:
    end = facts.end
    title = f"trial {facts.number} of {facts.study}: "
    if end is None:
        number = len(facts.attempts)
        return Table(
            title=f"{title}no end yet",
            columns=("last epoch", "attempts"),
            rows=((facts.reports[-1].epoch if facts.reports else 0, number),),
        )
    own = parse_object(end.metrics)
    values = parse_object(end.objectives) | own
    values = {name: whole(value) if name in own else value for name, value in values.items()}
    values |= {name: getattr(end, name) for name in OF_THE_END}
    values |= {name: getattr(end, name) for name in OF_THE_ORIGIN}
    rows = [(name, _shown(value, name)) for name, value in values.items() if value is not None]
    asked = (facts.recipe or {}).get(EPOCHS)
    if end.state is State.COMPLETED and isinstance(asked, int) and end.epochs < asked:
        rows = [(name, f"{value} of {asked:,}" if name == EPOCHS else value) for name, value in rows]
    error = [("error", end.error)] if end.error else []
    return Table(
        title=f"{title}{end.state}",
        note=end.reason,
        columns=("", "value"),
        rows=(*rows, *error),
    )


def _params(facts: TrialFacts) -> Table:
    rows = tuple((name, _shown(value)) for name, value in facts.params.items())
    return Table(title="params", columns=("param", "value"), rows=rows)


def _recipe(facts: TrialFacts, recipe: Mapping[str, Any]) -> Table:
    """The recipe without the params, and the network in words."""
    try:
        network = network_words(recipe)
    except (InvalidValueError, KeyError):  # of a family that is not registered in this process
        network = None
    in_words = {"model", "model_options"} if network else set()
    is_own = OF_OWN_RECIPE in recipe
    left_out = {OF_OWN_RECIPE} if is_own else {*in_words, *facts.params}
    others = {name: value for name, value in recipe.items() if value is not None and name not in left_out}
    named = {"network": network, **others} if network else others
    rows = tuple((name, _shown(value, name)) for name, value in named.items())
    return Table(title="the rest of the recipe", columns=("field", "value"), rows=rows)


def _decisions(facts: TrialFacts, metric: str) -> Table:
    values = [report.value(metric) for report in facts.decisions]
    if any(metric in own_numbers(report.metrics) for report in facts.decisions):
        values = whole_column(values)
    rows = tuple(
        (r.epoch, str(r.decision), value, r.decision_reason)
        for r, value in zip(facts.decisions, values, strict=True)
    )
    return Table(title="decisions", columns=("rung", "decision", metric, "reason"), rows=rows)


def _attempts(facts: TrialFacts) -> Table:
    rows = tuple(
        (
            a.attempt,
            f"{a.started_at:%Y-%m-%d %H:%M:%S}",
            a.node,
            a.device,
            None if a.pid is None else str(a.pid),
            a.resumed_from_epoch or None,
            a.held_s,
            a.how,
        )
        for a in facts.attempts
    )
    columns = ("attempt", "started (UTC)", "node", "device", "pid", "resumed from", "held_s", "how it ended")
    return Table(title="attempts", columns=columns, rows=rows, below=("how it ended",))


def _on_gpu(facts: TrialFacts) -> Table:
    """What each attempt's events say of its GPU and steps; no rows on a CPU."""
    present = [name for name in ON_GPU if any(name in a.on_gpu for a in facts.attempts)]
    rows = tuple((a.attempt, *(a.on_gpu.get(name) for name in present)) for a in facts.attempts if a.on_gpu)
    return Table(
        title="on the GPU",
        columns=("attempt", *present),
        rows=rows,
        shares=("gpu_busy",),
        below=("eager_because",),
    )


def _shown(value: object, name: str = "") -> str:
    """A value in a column of several types; a seed, which people copy, without commas."""
    return str(value) if name == SEED else format_value(value)


def _columns(row: Any) -> dict[str, object]:
    """The columns of a row as JSON can hold them; metrics of own training as an object."""
    values = {f.name: plain(getattr(row, f.name)) for f in fields(row) if f.name not in LEFT_OUT}
    return values | ({"metrics": parse_object(row.metrics)} if "metrics" in values else {})
