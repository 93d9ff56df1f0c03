"""JSON texts of rows as values of known types, and the rules for those values.

Readers of a row's JSON call this module, or `tune_jobs.study.events` for the detail of an event.
`tune_jobs.study.row_json` checks rows by the same functions, so no reader meets another shape. The worst
result of any text is an `InvalidValueError`, also of a text with 100,000 levels or with a number of 5,000
digits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.strict_json import MAX_DEPTH, depth_of, finite_float, refuse_constant
from eml_models.wording import first_line
from tune_jobs.study.field_kinds import Scalar
from tune_jobs.study.parameters import Params

MAX_SECONDS = 1e9
"""About 30 years. No duration of a study is longer, and an instant cannot hold the sum with a much longer
duration."""
MAX_COUNT = 2**31
"""Above every number of a trial, attempt, epoch or worker. A row at the largest number would leave none for
the next."""
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_SHOWN = 60


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidValueError: the text is no JSON, is nested too deep, or holds NaN or a number that no double
            holds.
    """
    try:
        value = json.loads(text, parse_constant=refuse_constant, parse_float=finite_float)
    except RecursionError as error:
        raise InvalidValueError(f"must be JSON of at most {MAX_DEPTH} levels, got more") from error
    except ValueError as error:
        raise InvalidValueError(f"must be JSON, got {_short(text)}: {first_line(error)}") from error
    if depth_of(value) > MAX_DEPTH:
        raise InvalidValueError(f"must be JSON of at most {MAX_DEPTH} levels, got more")
    if _has_escape(text) and not _is_encodable(value):
        raise InvalidValueError(
            f"must be JSON of whole characters, got half of a surrogate pair in {_short(text)}"
        )
    return value


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The value of a JSON text that is an object.

    Raises:
        InvalidValueError: the text is no JSON object.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise InvalidValueError(f"must be a JSON object, got {_short(text)}")
    return value


def params_from_json(text: str) -> Params:
    """The params that a row holds as JSON text; lists are tuples again.

    Raises:
        InvalidValueError: the text is no object of texts, numbers, truth values and lists of these.
    """
    return as_params(parse_object(text))


def as_params(data: object) -> Params:
    """The params in parsed JSON; see `params_from_json`."""
    if not isinstance(data, dict):
        raise InvalidValueError(f"must be an object, got {_short(data)}")
    for name, value in data.items():
        if not _is_param(value):
            raise InvalidValueError(
                f"{name} must be text, a number, a truth value or a list of these, got {_short(value)}"
            )
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}


def objectives_from_json(text: str) -> dict[str, float]:
    """The values of a trial's objectives by name; values that are null are left out.

    Raises:
        InvalidValueError: the text is no object of numbers.
    """
    values = parse_object(text)
    for name, value in values.items():
        if value is not None and not is_number(value):
            raise InvalidValueError(f"{name} must be a number, got {_short(value)}")
    return {name: value for name, value in values.items() if value is not None}


def metrics_from_json(text: str) -> dict[str, Scalar | None]:
    """The metrics of own training that a row holds as JSON text.

    Raises:
        InvalidValueError: the text is no object of numbers, truth values, texts and nulls.
    """
    values = parse_object(text)
    for name, value in values.items():
        if not _is_scalar(value):
            raise InvalidValueError(
                f"{name} must be a number, a truth value, text or null, got {_short(value)}"
            )
    return values


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for the value of a key, in words and as a test; a `required` key must be present."""

    words: str
    holds: Callable[[Any], bool]
    required: bool = False

    def or_null(self) -> Rule:
        """The rule of a key that may be null or absent."""
        return Rule(f"{self.words} or null", lambda value: value is None or self.holds(value))


def shape_problems(data: Mapping[str, Any], rules: Mapping[str, Rule]) -> Iterator[str]:
    """Problems of an object: required keys that are missing, and values that break their rules.

    Keys without a rule may have any value.
    """
    for name, rule in rules.items():
        if name not in data:
            if rule.required:
                yield f"{name} is missing"
        elif not rule.holds(data[name]):
            yield f"{name} must be {rule.words}, got {_short(data[name])}"


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_flag(value: object) -> bool:
    return isinstance(value, bool)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and INT64_MIN <= value <= INT64_MAX


def is_count(value: Any) -> bool:
    return is_whole(value) and 0 <= value < MAX_COUNT


def is_number(value: object) -> bool:
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def is_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(is_number, value.values()))


def is_seconds(value: Any) -> bool:
    return is_number(value) and 0 <= value <= MAX_SECONDS


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | bool) or is_number(value)


def _is_param(value: object) -> bool:
    return all(map(_is_scalar, value)) if isinstance(value, list) else _is_scalar(value)


def is_params(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_param, value.values()))


def is_objectives(value: object) -> bool:
    try:
        return isinstance(value, str) and objectives_from_json(value) is not None
    except InvalidValueError:
        return False


def _has_escape(text: str | bytes) -> bool:
    return b"\\u" in text if isinstance(text, bytes) else "\\u" in text


def _is_encodable(value: Any) -> bool:
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return False


def _short(value: object) -> str:
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > INT64_MAX:
        return "a number beyond 64 bits"  # its digits may be more than Python writes out
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
