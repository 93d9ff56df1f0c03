"""Values of parameters from texts: from a cell of CSV, or from `--fix`.

The type of the parameter decides how a text is read, never the look of the text: ``1e5``, ``null`` and
``true`` are texts where the parameter takes texts. Pure functions. Called by `tune_jobs.inputs.point_files`
and by the command line.
"""

from __future__ import annotations

from collections.abc import Sequence

from eml_models.errors import InvalidValueError
from eml_models.strict_json import parse_written
from tune_jobs.study.field_kinds import Scalar
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter
from tune_jobs.study.written_numbers import read_decimal, read_number, way_out


def read_text(parameter: Parameter, text: str) -> object:
    """The value that a text means for a parameter, or the text itself if it means none.

    `problem_of` then gives the reason.

    Raises:
        InvalidValueError: the text has a decimal comma, or may mean two of the parameter's values.
    """
    match parameter:
        case Float():
            return _number(text)
        case Integer():
            return as_whole(_number(text))
        case Choice():
            return _one_of(text, parameter.values)
        case Constant(value=tuple()):
            return _list(text)
        case Constant():
            return _one_of(text, (parameter.value,))  # type: ignore[arg-type]  # a list is the case above


def as_whole(value: object) -> object:
    """32 for 32.0, because tables with nulls, and other tools, write whole numbers as floats."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _number(text: str) -> object:
    try:
        number = read_decimal(text)
    except InvalidValueError:
        if way_out(text.strip()):
            raise
        return text
    return int(number) if "." not in text and "e" not in text.lower() else read_number(text)


def _one_of(text: str, values: Sequence[Scalar]) -> object:
    found: list[Scalar] = [value for value in values if _means(text, value)]
    texts: list[Scalar] = [value for value in values if isinstance(value, str)]
    if not found:  # spaces around a cell, or quotes of JSON
        found = [value for value in texts if value in (text.strip(), _unquoted(text))][:1]
    if len(found) > 1:
        raise InvalidValueError(f"{text!r} may mean {' or '.join(map(repr, found))}; write it as JSON")
    return found[0] if found else text


def _means(text: str, value: Scalar) -> bool:
    if isinstance(value, str):
        return text == value
    if isinstance(value, bool):
        return text.strip().lower() == str(value).lower()
    try:
        number = read_decimal(text)
    except InvalidValueError:
        return False
    return number == value if isinstance(value, int) else float(number) == value


def _unquoted(text: str) -> object:
    try:
        return parse_written(text)
    except InvalidValueError:
        return None


def _list(text: str) -> object:
    try:
        value = parse_written(text)
    except InvalidValueError:
        return text
    return tuple(value) if isinstance(value, list) else value
