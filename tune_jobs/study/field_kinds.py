"""Kinds of values that a person gives for fields in Python: plain ones are taken, others get a way out.

NumPy's scalars become Python's, a path becomes a text, and a float that is whole (30e6) a whole number. A
text is no number: the reader of a study would ask which of the two is meant. Called by every public class of
`tune_jobs.study` and by `tune_jobs.session.settings`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from eml_models.errors import InvalidValueError, raise_if_any
from eml_models.wording import cut
from tune_jobs.study.written_numbers import MAX_WHOLE, parse_count, read_number

Scalar = bool | int | float | str


class UnfitError(ValueError):
    """A value is of another kind than its field; `read_fields` turns it into the field's message."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        words: the kind in words, which end a sentence such as "workers must be ...".
        read: the value in the form that the program uses; raises `UnfitError` for a value of another kind.
        way_out: what to write instead of a value of another kind; empty if the words say it.
        is_number: whether a text may be meant as a number.
    """

    words: str
    read: Callable[[Any], Any]
    way_out: str = ""
    is_number: bool = False

    def or_none(self, words: str = "None") -> Kind:
        """This kind, or None; `words` say what None stands for."""

        def read(value: Any) -> Any:
            return None if value is None else self.read(value)

        return replace(self, words=f"{self.words} or {words}", read=read)

    def problem_of(self, name: str, value: object) -> str:
        """What is wrong with a value that does not fit, and what to write instead."""
        way_out = number_in(value) if self.is_number and isinstance(value, str) else self.way_out
        return f"{name} must be {self.words}, got {cut(value)}{f'; {way_out}' if way_out else ''}"


def read_fields(owner: object, kinds: Mapping[str, Kind], *, subject: str) -> None:
    """Bring fields of a frozen dataclass into the form of their kinds.

    Raises:
        InvalidValueError: some are of another kind; names all of them.
    """
    problems = []
    for name, kind in kinds.items():
        value = getattr(owner, name)
        try:
            object.__setattr__(owner, name, kind.read(value))
        except UnfitError:
            problems.append(kind.problem_of(name, value))
    raise_if_any(subject, problems)


def plain(value: Any) -> Any:
    """A scalar of NumPy as Python's own; every other value as it is."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value


def plain_number(value: Any) -> float | None:
    """A number that the store holds exactly or as the nearest double; None for anything else.

    A number of Python (also `Decimal` and `Fraction`), or one value of NumPy or torch. A whole number beyond
    64 bits becomes a double. None stands for NaN, infinities, numbers beyond every double, truth values and
    texts.
    """
    if hasattr(value, "item"):
        try:
            value = value.item()
        except Exception:  # of any type: an array of several values, or an object of the user's
            return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | Fraction):
        return None
    if isinstance(value, int) and abs(value) <= MAX_WHOLE:
        return int(value)
    try:
        number = float(value)
    except (OverflowError, ValueError):  # a Decimal may be a signalling NaN
        return None
    return number if math.isfinite(number) else None


def instance_of(kind: type[Any], words: str, *, way_out: str = "") -> Kind:
    """The kind of the values of a class."""

    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise UnfitError
        return value

    return Kind(words, read, way_out)


def read_items(name: str, values: Any, *, may_be_empty: bool = False) -> tuple[Scalar, ...]:
    """The values of a list that a person gives: texts, numbers and truth values in a fixed order.

    Args:
        name: the name of the list in a message.

    Raises:
        InvalidValueError: it is no list, or it holds another value; names all problems.
    """
    if isinstance(values, str | bool | int | float) or not isinstance(values, Iterable):
        raise InvalidValueError(f"{name} must be a list or a tuple, got {cut(values)}; write ({values!r},)")
    if isinstance(values, set | frozenset | Mapping | bytes):
        raise InvalidValueError(
            f"{name} must be a list or a tuple, got {cut(values)}; write them in order, as in (1, 2)"
        )
    items = tuple(_read_item(item) for item in values)
    problems = [problem for item in items if (problem := item_problem(item)) is not None]
    if not items and not may_be_empty:
        problems.append("at least one value is needed, got none")
    raise_if_any(name, problems)
    return items


def item_problem(value: object) -> str | None:
    """What is wrong with a value of a parameter; None for a text, a finite number or a truth value."""
    rule = f"a value is a text, a finite number, True or False, got {cut(value)}"
    if value is None:
        return (
            f"{rule}; for None take a value that changes nothing (1e9 for max_grad_norm), or a condition"
            " (when=When(...)) under which the parameter does not apply"
        )
    if isinstance(value, list | tuple):
        return (
            f"{rule}; a list option of a model is searched by its parts (width_1, width_2), another list by a"
            " name for each value"
        )
    if isinstance(value, float) and not math.isfinite(value):
        return f"{rule}; leave it out"
    if isinstance(value, str) and value.encode(errors="ignore").decode() != value:
        return f"{rule}, which holds half of a surrogate pair, and no file can; write whole characters"
    return None if isinstance(value, bool | int | float | str) else f"{rule}; give each value a name"


def _read_item(value: Any) -> Any:
    value = plain(value)
    return str.__str__(value) if isinstance(value, str) else value  # of a StrEnum its text


def _read_whole(value: Any) -> int:
    value = plain(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnfitError
    return value


def _read_number(value: Any) -> float:
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnfitError
    try:
        float(value)
    except OverflowError:  # a whole number beyond every double: the rule of its field refuses infinity
        return math.inf if value > 0 else -math.inf
    return value


def _read_flag(value: Any) -> bool:
    value = plain(value)
    if not isinstance(value, bool):
        raise UnfitError
    return value


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise UnfitError
    return value


def _read_path(value: Any) -> str:
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise UnfitError
    return path


def _read_function(value: Any) -> Any:
    if not callable(value):
        raise UnfitError
    return value


def number_in(text: str) -> str:
    """The way out for a text that may hold a number, such as ``8`` or ``5k``."""
    with suppress(InvalidValueError):
        return f"write it without quotes: {read_number(text):.15g}"
    with suppress(InvalidValueError):
        return f"write it as a whole number: {parse_count(text)}"
    return "write it as a number of Python, without quotes"


WHOLE = Kind("a whole number", _read_whole, is_number=True)
NUMBER = Kind("a number", _read_number, is_number=True)
FLAG = Kind("True or False", _read_flag)
TEXT = Kind("a text", _read_text)
PATH = Kind("a path", _read_path)
FUNCTION = Kind("a function", _read_function)
