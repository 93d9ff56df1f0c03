"""Checks the metrics of a report, and converts them to the columns of its row.

Workers send metrics as plain values by name, and a user's training function may report anything.
`state_machine` asks whether a report can be used, and `row_builder` asks for the columns of its row.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import get_type_hints

from eml_models.errors import sort_by_nearness
from eml_models.training.final_report import FINAL_METRICS, FinalReport
from tune_jobs.session.attempt import LiveAttempt
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import EPOCH as EPOCH
from tune_jobs.study.objective import LATENCY
from tune_jobs.study.rows import Failure

REPORT_METRICS = tuple(f.name for f in fields(FinalReport) if f.name != EPOCH)
"""The metrics of a report, without its epoch; each is a column of its row."""

MAX_OTHERS = 32
"""The most names of a report, beside those of its metrics, that a message repeats."""

_WHOLE = frozenset(name for name in REPORT_METRICS if get_type_hints(FinalReport)[name] is int)


def values_of(report: object) -> dict[str, object]:
    """The values of a training's report by name: its epoch, its metrics, and its other fields.

    No row keeps the other fields yet. Their names are needed where a metric is missing, because one of them
    may be that metric under another name.
    """
    known = [name for name in (EPOCH, *REPORT_METRICS) if hasattr(report, name)]
    others = [name for name in _fields_of(report) if name not in known and not name.startswith("_")]
    return {name: getattr(report, name) for name in (*known, *others[:MAX_OTHERS]) if hasattr(report, name)}


def _fields_of(report: object) -> list[str]:
    """The names of the fields of an object, of any of Python's kinds of records."""
    names: list[str] = [f.name for f in fields(report)] if is_dataclass(report) else []
    names += getattr(report, "_fields", ())
    names += getattr(report, "__dict__", ())
    return [name for name in dict.fromkeys(names) if isinstance(name, str)]


def metrics_problem(
    study: Study, live: LiveAttempt, metrics: Mapping[str, object]
) -> tuple[Failure, str] | None:
    """Why a report cannot be used, with the kind of failure; None if it can be used."""
    epochs = live.attempt.recipe.epochs
    last = metrics.get(EPOCH) == epochs
    of_shipped = study.metrics if study.train is None else ()
    due = [name for name in of_shipped if last or name not in FINAL_METRICS]
    missing = [name for name in (EPOCH, *due) if metrics.get(name) is None]
    if missing:
        return Failure.RAISED, _describe_missing(missing, metrics)
    epoch = metrics[EPOCH]
    if not isinstance(epoch, int) or isinstance(epoch, bool) or not live.last_epoch < epoch <= epochs:
        rule = f"a whole number above {live.last_epoch} and at most {epochs}"
        return Failure.RAISED, f"a report's epoch must be {rule}, got {epoch!r}"
    for name in REPORT_METRICS:
        value = number_of(metrics.get(name))
        if value is not None and not math.isfinite(value):
            return Failure.DIVERGED, f"{name} is {value} at epoch {epoch}"
    for name in due:
        if number_of(metrics[name]) is None:
            return Failure.RAISED, f"{name} must be a number, got {metrics[name]!r}"
    return None


def _describe_missing(missing: Sequence[str], metrics: Mapping[str, object]) -> str:
    """The message about a report without these metrics: what it has, the nearest first, and what is meant."""
    names = sort_by_nearness(missing[0], [name for name, value in metrics.items() if value is not None])
    text = f"the report lacks {', '.join(missing)}; it has {', '.join(names) or 'nothing'}"
    others = [name for name in names if name not in (EPOCH, *REPORT_METRICS, LATENCY)]
    return text + "".join(words_of_nearest(name, others) for name in missing)


def words_of_nearest(name: str, others: Iterable[str]) -> str:
    """The end of a message about a missing metric: a reported name that may stand for it, if any is alike."""
    meant = (f". Is {close} meant? Report it under the name {name}" for close in _closest(name, others))
    return next(meant, "")


def _closest(name: str, others: Iterable[str]) -> list[str]:
    """The name that is most like `name`, in a list, which is empty if none is alike."""
    lower = {other.lower(): other for other in others}
    return [lower[match] for match in difflib.get_close_matches(name, lower, n=1)]


def metric_columns(metrics: Mapping[str, object]) -> dict[str, float | int | None]:
    """The columns of a report's metrics; null where a metric is missing or not a number."""
    numbers = {name: number_of(metrics.get(name)) for name in REPORT_METRICS}
    return {
        name: int(value) if name in _WHOLE and value is not None else value for name, value in numbers.items()
    }


def number_of(value: object) -> float | None:
    """A metric as a float, infinite if no float holds it; None if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number with more than 308 digits
        return math.copysign(math.inf, value > 0 or -1)
