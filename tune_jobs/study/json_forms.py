"""Frozen dataclasses to JSON objects and back, by the types of their fields.

Each field is a key of the object. The key is the name of the field, or the `JSON_NAME` in its metadata. A
field that is None is left out of the object. A field without a default must be in it. Other keys are ignored.
The type of a field is a type below, or ``Annotated[..., Form(...)]``; ``| None`` may follow. Called by
`tune_jobs.study.events`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from eml_models.errors import InvalidValueError
from tune_jobs.study.json_fields import (
    Rule,
    as_params,
    is_count,
    is_flag,
    is_number,
    is_params,
    is_seconds,
    is_text,
    is_whole,
    shape_problems,
)
from tune_jobs.study.parameters import Params

JSON_NAME = "json_name"
"""The entry in a field's metadata with the key in JSON, for a key that cannot be a name in Python."""

D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a value in JSON, in words and as a test, and the function that reads it."""

    words: str
    holds: Callable[[Any], bool]
    read: Callable[[Any], Any] = lambda value: value


def one_of(values: type[StrEnum]) -> Form:
    """A value of an enumeration."""
    return Form(f"one of {', '.join(values)}", lambda value: is_text(value) and value in list(values), values)


def list_of(kind: type[Any], words: str) -> Form:
    """A list of objects, each with the fields of a dataclass."""
    return Form(
        words,
        lambda value: isinstance(value, list) and not any(_problems(kind, item) for item in value),
        lambda value: tuple(_read(kind, item) for item in value),
    )


Text = Annotated[str, Form("text", is_text)]
Reason = Annotated[str, Form("text that is not empty", lambda value: is_text(value) and value != "")]
Flag = Annotated[bool, Form("true or false", is_flag)]
Whole = Annotated[int, Form("a whole number", is_whole)]
Count = Annotated[int, Form("a whole number from 0", is_count)]
Epoch = Annotated[int, Form("a whole number from 1", lambda value: is_count(value) and value >= 1)]
Number = Annotated[float, Form("a number", is_number, float)]
Seconds = Annotated[float, Form("seconds", is_seconds, float)]
NumberOrText = Annotated[
    float | str, Form("a number or text", lambda value: is_number(value) or is_text(value))
]
AnyParams = Annotated[Params, Form("params", is_params, as_params)]


def as_data(value: Any) -> Any:
    """A dataclass as plain data for JSON; so are the tuples and dataclasses in it."""
    if isinstance(value, tuple):
        return [as_data(item) for item in value]
    if not is_dataclass(value):
        return value
    held = ((key, getattr(value, item.name)) for key, item in _keys(type(value)).items())
    return {key: as_data(item) for key, item in held if item is not None}


def from_data(kind: type[D], data: object) -> D:
    """The dataclass in parsed JSON.

    Raises:
        InvalidValueError: the data is no object, lacks a key, or has a value of another form; shows all
            problems.
    """
    if problems := _problems(kind, data):
        raise InvalidValueError("; ".join(problems))
    return _read(kind, typing.cast("dict[str, Any]", data))


def keys_of(kind: type[Any]) -> tuple[str, ...]:
    """The keys of a dataclass in JSON."""
    return tuple(_keys(kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A field in JSON: its name in Python, the rule for its value, and the function that reads it."""

    name: str
    rule: Rule
    read: Callable[[Any], Any]


_KNOWN: dict[type[Any], dict[str, Key]] = {}
"""The keys of each dataclass, from its fields; a cache."""


def _keys(kind: type[Any]) -> dict[str, Key]:
    if kind not in _KNOWN:
        hints = typing.get_type_hints(kind, include_extras=True)
        _KNOWN[kind] = {
            f.metadata.get(JSON_NAME, f.name): _key(f.name, hints[f.name], required=f.default is MISSING)
            for f in fields(kind)
        }
    return _KNOWN[kind]


def _key(name: str, hint: Any, *, required: bool) -> Key:
    optional = typing.get_origin(hint) in (types.UnionType, typing.Union)
    (form,) = (typing.get_args(hint)[0] if optional else hint).__metadata__
    rule = Rule(form.words, form.holds, required=required)
    return Key(name=name, rule=rule.or_null() if optional else rule, read=form.read)


def _problems(kind: type[Any], data: object) -> list[str]:
    if not isinstance(data, dict):
        return ["must be an object"]
    return list(shape_problems(data, {key: item.rule for key, item in _keys(kind).items()}))


def _read(kind: type[D], data: Mapping[str, Any]) -> D:
    """The dataclass in data without problems."""
    values = ((item, data.get(key)) for key, item in _keys(kind).items())
    return kind(**{item.name: item.read(value) for item, value in values if value is not None})
