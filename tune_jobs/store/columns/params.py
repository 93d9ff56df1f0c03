"""The type of each parameter in a store, the columns of parameters, and conflicts between studies.

Pure functions. A parameter of one name has one type within a store, so that one query works over all studies:
a float stays a float even if every value is an integer. `definitions` refuses a study with another type.

Own training may give any type to a parameter that has the name of a shipped one: ``momentum`` may be text.
Its values are then null in the file's column, ``param_momentum``, and views and frames have them in a column
of that name and type, ``param_momentum_string`` (`column_of_type`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from eml_models.errors import InvalidValueError, raise_if_any
from tune_jobs.store.columns.schema import PARAM_COLUMNS
from tune_jobs.study.json_fields import INT64_MAX, INT64_MIN, parse_object
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter
from tune_jobs.study.space import Space

_SCALARS = ("string", "double", "int64", "bool")
KNOWN_TYPES = (*_SCALARS, *(f"list<{scalar}>" for scalar in _SCALARS))
"""The types that a parameter can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnParam:
    """A parameter that has no column of its type in the files."""

    name: str
    kind: str


def param_types(space: Space, *, own: bool = False) -> dict[str, str]:
    """The type of each parameter of a space.

    Args:
        own: whether the study trains by its own function, so that the names bind its params to nothing.

    Raises:
        InvalidValueError: a parameter mixes types; or it has another type than the shipped column of its
            name, and the study trains by a recipe.
    """
    found: dict[str, str] = {}
    problems: list[str] = []
    for parameter in space.parameters:
        try:
            found[parameter.name] = _type_in_store(parameter, own=own)
        except InvalidValueError as error:
            problems.append(str(error))
    raise_if_any("parameters in the store", problems)
    return found


def conflicts(study: str, wanted: Mapping[str, str], others: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The differences between a study's types and those of other studies of the store, one line each.

    A name of a shipped parameter has a column for each type, so it has no conflict.
    """
    return [
        f"parameter {name!r} is {kind} in study {study!r} but {known[name]} in study {other!r}"
        for name, kind in wanted.items()
        for other, known in others.items()
        if name not in PARAM_COLUMNS and known.get(name, kind) != kind
    ]


def own_params_of(studies: Iterable[Mapping[str, str]]) -> dict[str, OwnParam]:
    """The parameters without a column of their type in the files, by their columns without the prefix.

    Args:
        studies: of each study, the type of each parameter.
    """
    found = {OwnParam(name=name, kind=kind) for types in studies for name, kind in types.items()}
    own = sorted(
        (param for param in found if PARAM_COLUMNS.get(param.name) != param.kind),
        key=lambda param: (param.name in PARAM_COLUMNS, param.name, param.kind),
    )
    columns: dict[str, OwnParam] = {}
    for param in own:
        column = column_of_type(param.name, param.kind) if param.name in PARAM_COLUMNS else param.name
        while column in columns or column in PARAM_COLUMNS:
            column += "_"
        columns[column] = param
    return dict(sorted(columns.items()))


def column_of_type(name: str, kind: str) -> str:
    """The column, without the prefix, of a parameter with a shipped name and another type."""
    return f"{name}_{kind.replace('<', '_').removesuffix('>')}"


def typed_params(text: str) -> dict[str, Any]:
    """The values of the `param_` columns that a `params` text fills; a value of another type fills none.

    Raises:
        InvalidValueError: the text is not a JSON object.
    """
    params, values = parse_params(text), {}
    for name in params.keys() & PARAM_COLUMNS.keys():
        with suppress(TypeError, ValueError):
            values[name] = as_type(params[name], PARAM_COLUMNS[name])
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


def _type_in_store(parameter: Parameter, *, own: bool) -> str:
    found = _own_type(parameter)
    known = PARAM_COLUMNS.get(parameter.name, found)
    if found == known or found.replace("int64", "double") == known or found == "list<>":
        return _of_empty_list(known) if found == "list<>" else known
    if own:
        _refuse_partly_fitting(parameter, known)
        return found
    raise InvalidValueError(
        f"parameter {parameter.name!r} is {known} in every store, got {found}; give it that type or another"
        " name"
    )


def _of_empty_list(known: str) -> str:
    return known if known.startswith("list<") and known != "list<>" else "list<double>"


def _refuse_partly_fitting(parameter: Parameter, known: str) -> None:
    """Refuse numbers of which the whole ones alone would fill the shipped column of their name."""
    if known == "int64" and isinstance(parameter, Choice) and any(type(v) is int for v in parameter.values):
        raise InvalidValueError(
            f"parameter {parameter.name!r} mixes whole and other numbers in {list(parameter.values)!r}, and a"
            " column of its name holds whole numbers alone; write the whole ones with a point, such as 1.0"
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
