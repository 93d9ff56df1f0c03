"""The JSON that rows hold, as values of known types: the one place that parses it.

A row's JSON is checked when the row is appended and when it is read (`tune_jobs.store.convert`), both times
by `json_problems`; whoever uses a row's JSON asks here too, so that nobody sees another shape. Any text gives
an `InvalidValueError` at worst, also one that is nested 100,000 deep or has a number of 5,000 digits.
"""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.recipe import Recipe
from eml_models.strict_json import MAX_DEPTH, depth_of, finite_float, refuse_constant
from tune_jobs.space import Params
from tune_jobs.trial import EventKind, EventRow, Failure, Row, StartRow, State, TrialRow

MAX_SECONDS = 1e9
"""About 30 years: whatever is longer is no duration of ours, and leaves what an instant can be."""
MAX_COUNT = 2**31
"""No number of a trial, attempt, epoch or worker comes near; a row beyond it would use up all numbers."""
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
TOLD_SECONDS = ("imports_s", "data_s", "latency_s", "first_step_s")
"""What the events of an attempt may say of its preparing."""
_SHOWN = 60


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidValueError: it is none, is nested too deep, or holds NaN or a number that no double holds.
    """
    try:
        value = json.loads(text, parse_constant=refuse_constant, parse_float=finite_float)
    except RecursionError as error:
        raise InvalidValueError(f"must be JSON of at most {MAX_DEPTH} levels, got more") from error
    except ValueError as error:
        raise InvalidValueError(f"must be JSON, got {_short(text)}: {_first_line(error)}") from error
    if depth_of(value) > MAX_DEPTH:
        raise InvalidValueError(f"must be JSON of at most {MAX_DEPTH} levels, got more")
    if _has_escape(text) and not _is_encodable(value):
        raise InvalidValueError(f"must be JSON of whole characters, got half of one in {_short(text)}")
    return value


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The value of a JSON text that is an object.

    Raises:
        InvalidValueError: it is none.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise InvalidValueError(f"must be a JSON object, got {_short(text)}")
    return value


def params_from_json(text: str) -> Params:
    """The params that a row holds as JSON text; lists are tuples again.

    Raises:
        InvalidValueError: no object of text, numbers, truth values and lists of them.
    """
    return as_params(parse_object(text))


def as_params(data: object) -> Params:
    """Params of parsed JSON; see `params_from_json`."""
    if not isinstance(data, dict):
        raise InvalidValueError(f"must be an object, got {_short(data)}")
    for name, value in data.items():
        if not _is_param(value):
            raise InvalidValueError(f"{name} must be text, a number, a truth value or a list of them")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}


def objectives_from_json(text: str) -> dict[str, float]:
    """The values of a trial's objectives by name; those that are null are left out.

    Raises:
        InvalidValueError: no object of numbers.
    """
    values = parse_object(text)
    for name, value in values.items():
        if value is not None and not _is_number(value):
            raise InvalidValueError(f"{name} must be a number, got {_short(value)}")
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What an event's `detail` says that somebody asks for; None where it says nothing.

    Attributes:
        workers: of a session that began.
        how: how a session or an attempt ended; empty if it does not say.
        waited_s: until an attempt had a worker.
        told_s: what an attempt told of its preparing: seconds by the names of `TOLD_SECONDS`, those it knew.
        kernels: which kernels it computes with; None if it did not say.
        points: of `ENQUEUED`, each an object with `params`, `retry_of` and perhaps `first`.
        origin: of `WARM_STARTED`: where its trials are from.
        told: of `WARM_STARTED`, each an object (`tune_jobs.search.given`).
    """

    workers: int | None = None
    how: str = ""
    waited_s: float = 0.0
    told_s: Mapping[str, float] = field(default_factory=dict)
    kernels: str | None = None
    points: tuple[Mapping[str, Any], ...] = ()
    origin: str = ""
    told: tuple[Mapping[str, Any], ...] = ()


def detail_of(kind: EventKind, text: str) -> Detail:
    """The detail of an event of that kind.

    Raises:
        InvalidValueError: JSON of another shape.
    """
    data = parse_object(text)
    problems = list(_shape_problems("", data, _DETAILS.get(kind, {})))
    if problems:
        raise InvalidValueError("; ".join(problems))
    if kind is EventKind.ENQUEUED:
        return Detail(points=tuple(data["points"]))
    if kind is EventKind.WARM_STARTED:
        return Detail(origin=data["from"], told=tuple(data["trials"]))
    return Detail(
        workers=data.get("workers"),
        how=data.get("how") or "",
        waited_s=float(data.get("waited_s") or 0.0),
        told_s={name: float(data[name]) for name in TOLD_SECONDS if data.get(name) is not None},
        kernels=data.get("kernels"),
    )


def event_detail(row: EventRow) -> Detail:
    """The detail of an event's row."""
    return detail_of(row.kind, row.detail)


def json_problems(row: Row) -> list[str]:
    """Which of a row's JSON texts are none, or of another shape; empty if they are right."""
    problems = []
    for name, check in _FIELDS.get(type(row), {}).items():
        try:
            check(row)
        except InvalidValueError as error:
            problems.append(f"{name} {error}")
    return problems


def _check_recipe(row: Any) -> None:
    recipe = parse_object(row.recipe)
    problems = list(_shape_problems("", recipe, _RECIPE))
    if problems:
        raise InvalidValueError("; ".join(problems))


_FIELDS: dict[type[Row], dict[str, Callable[[Any], object]]] = {
    StartRow: {"params": lambda row: params_from_json(row.params), "recipe": _check_recipe},
    TrialRow: {
        "params": lambda row: params_from_json(row.params),
        "objectives": lambda row: objectives_from_json(row.objectives),
    },
    EventRow: {"detail": event_detail},
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What the value of a key must be; `required` keys must be there."""

    words: str
    holds: Callable[[Any], bool]
    required: bool = False


def _shape_problems(where: str, data: Mapping[str, Any], rules: Mapping[str, Rule]) -> Iterator[str]:
    for name, rule in rules.items():
        if name not in data:
            if rule.required:
                yield f"{where}{name} is missing"
        elif not rule.holds(data[name]):
            yield f"{where}{name} must be {rule.words}, got {_short(data[name])}"


def _fits(data: object, rules: Mapping[str, Rule]) -> bool:
    return isinstance(data, dict) and not any(_shape_problems("", data, rules))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and INT64_MIN <= value <= INT64_MAX


def _is_count(value: Any) -> bool:
    return value is None or (_is_whole(value) and 0 <= value < MAX_COUNT)


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_maybe_number(value: object) -> bool:
    return value is None or _is_number(value)


def _is_maybe_whole(value: object) -> bool:
    return value is None or _is_whole(value)


def _is_seconds(value: Any) -> bool:
    return value is None or (_is_number(value) and 0 <= value <= MAX_SECONDS)


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | bool) or _is_number(value)


def _is_param(value: object) -> bool:
    return all(map(_is_scalar, value)) if isinstance(value, list) else _is_scalar(value)


def _is_params(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_param, value.values()))


def _is_objectives(value: object) -> bool:
    try:
        return isinstance(value, str) and objectives_from_json(value) is not None
    except InvalidValueError:
        return False


def _is_list_of(rules: Mapping[str, Rule]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(_fits(item, rules) for item in value)


_POINT = {
    "params": Rule("params", _is_params, required=True),
    "retry_of": Rule("a trial's number or null", _is_count, required=True),
    "first": Rule("true or false", lambda value: isinstance(value, bool), required=True),
}
_TOLD = {
    "trial_id": Rule("text", _is_text, required=True),
    "number": Rule("a whole number", lambda value: value is not None and _is_count(value), required=True),
    "params": Rule("params", _is_params, required=True),
    "state": Rule("a state", lambda value: value in list(State), required=True),
    "reason": Rule("a reason", lambda value: _is_text(value) and bool(value), required=True),
    "failure": Rule("a failure or null", lambda value: value in [None, *Failure], required=True),
    "objective": Rule("a number or null", _is_maybe_number, required=True),
    "epoch": Rule(
        "a whole number from 1 or null", lambda value: value is None or (_is_count(value) and value >= 1),
        required=True,
    ),
    "value": Rule("a number or null", _is_maybe_number, required=True),
    "objectives": Rule("JSON of numbers", _is_objectives, required=True),
    "latency_ms": Rule("a number or null", _is_maybe_number, required=True),
    **{
        name: Rule("a whole number or null", _is_maybe_whole, required=True)
        for name in ("macs", "parameters", "activations", "traffic_bytes")
    },
}  # fmt: skip
_HOW = Rule("text or null", lambda value: value is None or isinstance(value, str))
_SECONDS = Rule("seconds", _is_seconds)
_TOLD_SECONDS = dict.fromkeys(TOLD_SECONDS, _SECONDS)
_DETAILS: Mapping[EventKind, Mapping[str, Rule]] = {
    EventKind.SESSION_STARTED: {"workers": Rule("a whole number or null", _is_count)},
    EventKind.SESSION_ENDED: {"how": _HOW},
    EventKind.ATTEMPT_STARTED: {"waited_s": _SECONDS, "kernels": _HOW, **_TOLD_SECONDS},
    EventKind.ATTEMPT_ENDED: {"how": _HOW, **_TOLD_SECONDS},
    EventKind.ATTEMPT_INTERRUPTED: _TOLD_SECONDS,
    EventKind.ENQUEUED: {"points": Rule("a list of points", _is_list_of(_POINT), required=True)},
    EventKind.WARM_STARTED: {
        "from": Rule("text", _is_text, required=True),
        "trials": Rule("a list of trials", _is_list_of(_TOLD), required=True),
    },
}
_BY_HINT: Mapping[Any, Rule] = {
    float: Rule("a number", _is_number),
    float | None: Rule("a number or null", _is_maybe_number),
    int: Rule("a whole number", _is_whole),
    int | None: Rule("a whole number or null", _is_maybe_whole),
    bool: Rule("true or false", lambda value: isinstance(value, bool)),
    Mapping[str, Any]: Rule("options", _is_params),
}
_RECIPE = {
    name: _BY_HINT.get(hint, Rule("text", _is_text)) for name, hint in typing.get_type_hints(Recipe).items()
}
"""By type: whether the values suit each other, and a network that is registered, `Recipe` says itself."""


def _has_escape(text: str | bytes) -> bool:
    return b"\\u" in text if isinstance(text, bytes) else "\\u" in text


def _is_encodable(value: Any) -> bool:
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _short(value: object) -> str:
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > INT64_MAX:
        return "a number beyond 64 bits"  # its digits may be more than Python writes out
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
