"""JSON that says one thing: what people hand in is read as it was written, or refused.

Python's own reader takes the last of two fields of one name, reads NaN, makes 1e400 infinite, and ends in a
traceback at a number of 5,000 digits or at 100,000 lists in each other. Called by whatever reads a person's
JSON.
"""

from __future__ import annotations

import json
import math
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.wording import cut

MAX_DEPTH = 32
MAX_DIGITS = 40
"""Most digits of a whole number: more than any column of a store holds."""


class NotJsonError(InvalidValueError):
    """A text is no JSON at all, rather than JSON that is refused."""


def parse_json(text: str) -> Any:
    """The value that a JSON text says.

    Raises:
        NotJsonError: it is no JSON.
        InvalidValueError: a name twice in an object, NaN, an infinite number, a whole number of more than
            `MAX_DIGITS` digits, or lists and objects more than `MAX_DEPTH` deep.
    """
    too_deep = f"lists and objects may lie {MAX_DEPTH} deep at most"
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


def _as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidValueError(f"{cut(twice)} is there twice in one object; leave one")
    return found


def refuse_constant(text: str) -> Any:
    """Refuse NaN and the infinities, which Python's reader knows and JSON does not."""
    raise InvalidValueError(f"a number must be finite, got {text}")


def finite_float(text: str) -> float:
    """The number of a text; a number that no double holds is refused."""
    number = float(text)
    if not math.isfinite(number):
        raise InvalidValueError(f"a number must be within +-1.8e308, got {cut(text)}")
    return number


def _as_whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise InvalidValueError(f"a whole number has at most {MAX_DIGITS} digits, got {cut(text)}")
    return int(text)


def depth_of(value: Any) -> int:
    """How deep lists and objects lie in each other, without recursion."""
    depth, level = 0, [value]
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth
