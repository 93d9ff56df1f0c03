"""The type of each parameter in a store, and conflicts between studies.

Pure functions. A parameter of one name has one type within a store, so that one query works over all studies:
a float stays a float even if every value is an integer. `definitions` refuses a study with another type;
`convert` checks each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eml_models.errors import InvalidValueError, raise_if_any
from tune_jobs.store.columns.schema import PARAM_COLUMNS
from tune_jobs.study.json_fields import INT64_MAX, INT64_MIN, parse_object
from tune_jobs.study.space import Choice, Constant, Float, Integer, Parameter, Space

_SCALARS = ("string", "double", "int64", "bool")
KNOWN_TYPES = (*_SCALARS, *(f"list<{scalar}>" for scalar in _SCALARS))
"""The types that a parameter can have."""


def param_types(space: Space) -> dict[str, str]:
    """The type of each parameter of a space.

    Raises:
        InvalidValueError: a parameter mixes types, or has another type than the shipped column of its name.
    """
    found: dict[str, str] = {}
    problems: list[str] = []
    for parameter in space.parameters:
        try:
            found[parameter.name] = _type_in_store(parameter)
        except InvalidValueError as error:
            problems.append(str(error))
    raise_if_any("parameters in the store", problems)
    return found


def conflicts(study: str, wanted: Mapping[str, str], others: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The differences between a study's types and those of other studies of the store, one line each."""
    return [
        f"parameter {name!r} is {kind} in study {study!r} but {known[name]} in study {other!r}"
        for name, kind in wanted.items()
        for other, known in others.items()
        if known.get(name, kind) != kind
    ]


def typed_params(text: str) -> dict[str, Any]:
    """The values of the `param_` columns that a `params` text fills.

    Raises:
        InvalidValueError: the text is not a JSON object, or a column cannot hold its value.
    """
    params = parse_params(text)
    problems = []
    values = {}
    for name in params.keys() & PARAM_COLUMNS.keys():
        try:
            values[name] = as_type(params[name], PARAM_COLUMNS[name])
        except (TypeError, ValueError):
            problems.append(f"{name} must be {PARAM_COLUMNS[name]}, got {params[name]!r}")
    raise_if_any("params", problems)
    return values


def parse_params(text: str) -> dict[str, Any]:
    """A `params` text as a dictionary."""
    try:
        return parse_object(text)
    except InvalidValueError as error:
        raise InvalidValueError(f"params {error}") from error


def as_type(value: Any, kind: str) -> Any:
    """A JSON value in the form of a column of type `kind`; a column of doubles accepts integers.

    Raises:
        TypeError: the column cannot hold the value.
    """
    if value is None:
        return None
    if kind.startswith("list<"):
        if not isinstance(value, list):
            raise TypeError(f"not a list: {value!r}")
        return [as_type(item, kind[len("list<") : -1]) for item in value]
    if kind == "double" and _kind_of(value) in ("double", "int64"):
        return float(value)
    if _kind_of(value) != kind:
        raise TypeError(f"not {kind}: {value!r}")
    return value


def _type_in_store(parameter: Parameter) -> str:
    found = _own_type(parameter)
    known = PARAM_COLUMNS.get(parameter.name, found)
    if found == known or found.replace("int64", "double") == known or found == "list<>":
        return "list<double>" if known == "list<>" else known
    raise InvalidValueError(
        f"parameter {parameter.name!r} is {known} in every store, got {found}; give it that type or another"
        " name"
    )


def _own_type(parameter: Parameter) -> str:
    match parameter:
        case Float():
            return "double"
        case Integer():
            return _common_type(parameter.name, (parameter.low, parameter.high))
        case Choice():
            return _common_type(parameter.name, parameter.values)
        case Constant(value=tuple() as items):
            return f"list<{_common_type(parameter.name, items) if items else ''}>"
        case Constant():
            return _common_type(parameter.name, (parameter.value,))


def _common_type(name: str, values: Sequence[object]) -> str:
    kinds = set(_iter_kinds(name, values))
    if kinds == {"int64", "double"}:
        return "double"
    if len(kinds) == 1:
        return kinds.pop()
    raise InvalidValueError(
        f"parameter {name!r} mixes {' and '.join(sorted(kinds))} in {list(values)!r}; use one type"
    )


def _iter_kinds(name: str, values: Sequence[object]) -> Iterator[str]:
    for value in values:
        try:
            yield _kind_of(value)
        except TypeError as error:
            raise InvalidValueError(f"parameter {name!r}: {error}") from error


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise TypeError(f"a whole number must fit in 64 bits, got {value}")
        return "int64"
    if isinstance(value, float):
        return "double"
    if isinstance(value, str):
        return "string"
    raise TypeError(f"a value must be text, a number or a truth value, got {value!r}")
