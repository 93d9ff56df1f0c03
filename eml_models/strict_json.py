"""Reads JSON from people strictly: ambiguous or extreme input is refused.

Python's own reader takes the last of two fields with the same name, reads NaN, and makes 1e400 infinite. It
raises a bare error for a number of 5,000 digits and for 100,000 nested lists. Called by all code that reads
JSON of a user.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.wording import cut

MAX_DEPTH = 32
MAX_DIGITS = 40
"""Most digits of a whole number. No column of a store holds a number of more digits."""


TEXT_OR_NUMBER = re.compile(
    r"""
    "(?:[^"\\]|\\.)*"                                   # a text, which stays as it is
    | (?<![\w.+-])                                       # or a number that is not part of something longer
      (?P<sign>[+-]?) (?P<whole>\d*) (?P<part>\.\d*)? (?P<power>(?:e[+-]?\d+)?)
      (?![\w.+-])
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


class NotJsonError(InvalidValueError):
    """A text is not JSON. For JSON that breaks a rule, `InvalidValueError` itself is raised."""


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        NotJsonError: the text is not JSON.
        InvalidValueError: an object has a name twice, a number is NaN or infinite, a whole number has more
            than `MAX_DIGITS` digits, or lists and objects are nested more than `MAX_DEPTH` deep.
    """
    too_deep = f"lists and objects may be nested at most {MAX_DEPTH} deep"
    try:
        value = json.loads(
            text,
            object_pairs_hook=_as_object,
            parse_constant=refuse_constant,
            parse_float=finite_float,
            parse_int=_as_whole,
        )
    except json.JSONDecodeError as error:
        raise NotJsonError(str(error)) from error
    except RecursionError as error:
        raise InvalidValueError(too_deep) from error
    if depth_of(value) > MAX_DEPTH:
        raise InvalidValueError(too_deep)
    return value


def parse_written(text: str) -> Any:
    """The value of a JSON text in which numbers may stand as people write them: ``.5``, ``1.``, ``+0.5``.

    Raises:
        NotJsonError, InvalidValueError: see `parse_json`.
    """
    try:
        return parse_json(text)
    except NotJsonError as error:
        completed = TEXT_OR_NUMBER.sub(_completed, text)
        try:
            return parse_json(completed)
        except NotJsonError:
            raise error from None


def _completed(match: re.Match[str]) -> str:
    """A number with the digits beside its point that JSON asks for, and without a plus."""
    whole, part = match["whole"], match["part"]
    digits = (whole or "") + (part or "").removeprefix(".")
    if not digits:  # a text, or a sign or a point alone
        return match[0]
    fraction = "" if part is None else part if len(part) > 1 else ".0"
    return f"{'-' if match['sign'] == '-' else ''}{whole or '0'}{fraction}{match['power']}"


def _as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidValueError(f"an object has the name {cut(twice)} twice; remove one of the two")
    return found


def refuse_constant(text: str) -> Any:
    """Refuse NaN and infinities: Python's reader accepts them, but JSON has none."""
    raise InvalidValueError(f"a number must be finite, got {text}")


def finite_float(text: str) -> float:
    """The number of a text; a number too large for a double is refused."""
    number = float(text)
    if not math.isfinite(number):
        raise InvalidValueError(f"a number must be within +-1.8e308, got {cut(text)}")
    return number


def _as_whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise InvalidValueError(f"a whole number has at most {MAX_DIGITS} digits, got {cut(text)}")
    return int(text)


def depth_of(value: Any) -> int:
    """How deep lists and objects are nested; counted without recursion."""
    depth, level = 0, [value]
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth
