"""The metrics of a report of own training as plain values: numbers, truth values and texts by name.

`trial_run` calls this with what a training function reports. What a store makes of the values is decided by
`tune_jobs.session.own_reports`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.session.report_checks import number_of
from tune_jobs.study.json_fields import INT64_MAX, INT64_MIN
from tune_jobs.study.objective import OWN_METRIC

MAX_TEXT = 1000
"""Characters of a metric that is text; a longer one is cut."""

Plain = float | int | bool | str | None


def plain_metrics(metrics: object) -> dict[str, Plain]:
    """The metrics of a report as plain values by name.

    Raises:
        InvalidValueError: they are no mapping and no dataclass, or a name or a value is nothing that a store
            can hold.
    """
    if dataclasses.is_dataclass(metrics) and not isinstance(metrics, type):
        metrics = {f.name: getattr(metrics, f.name) for f in dataclasses.fields(metrics)}
    if not isinstance(metrics, Mapping):
        raise InvalidValueError(
            f'a report is a mapping or a dataclass of metrics, such as {{"iou": 0.7}}, got {_short(metrics)}'
        )
    return {_name_of(name): _plain(str(name), value) for name, value in metrics.items()}


def _name_of(name: object) -> str:
    if not isinstance(name, str) or not OWN_METRIC.fullmatch(name):
        raise InvalidValueError(
            "the name of a metric has 1 to 100 characters, without quotes, backslashes, asterisks and"
            f" control characters, got {_short(name)}"
        )
    return name


def _plain(name: str, value: Any) -> Plain:
    """A value of Python, NumPy or torch as a plain one; a whole number beyond every float is infinite."""
    value = python_value(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if INT64_MIN <= value <= INT64_MAX else number_of(value)
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else f"{value[: MAX_TEXT - 3]}..."
    raise InvalidValueError(
        f"metric {name} must be a number, a truth value or text, got {_short(value)}; report a mean, or one"
        " metric for each value"
    )


def python_value(value: Any) -> Any:
    """A NumPy or torch value of a single number as a value of Python; any other value as it is."""
    return value.item() if hasattr(value, "item") and _num_values(value) == 1 else value


def _num_values(value: Any) -> int:
    """How many numbers a NumPy or torch value holds."""
    count = getattr(value, "numel", None)
    return int(count() if callable(count) else getattr(value, "size", 1))


def _short(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:60] + '...'}"
