"""The points of ``--enqueue``, read from a JSON or CSV file, also from tables that our commands print.

Each value is read by the type of its parameter. A value that does not fit is an error; it is never dropped,
nor replaced by a drawn value. Called by `tune_jobs.cli.resolving`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.strict_json import NotJsonError, parse_written
from eml_models.wording import cut
from tune_jobs.inputs.csv_cells import read_csv
from tune_jobs.inputs.near_files import nearest_file
from tune_jobs.search.given import check_point
from tune_jobs.store.columns.params import KNOWN_TYPES, column_of_type
from tune_jobs.study.json_fields import INT64_MAX, INT64_MIN
from tune_jobs.study.param_texts import as_whole, read_text
from tune_jobs.study.parameters import Integer, Parameter, Params
from tune_jobs.study.rows import StartRow, TrialRow
from tune_jobs.study.same_names import spelled
from tune_jobs.study.space import Space

PREFIX = "param_"
PARAMS = "params"
OF_TABLES = frozenset(field.name for row in (TrialRow, StartRow) for field in fields(row))
"""Columns of the store's tables. Beside columns with `PREFIX`, such a name is no parameter."""


def read_points(path: str, space: Space) -> list[Params]:
    """The points in a file, each with the space's own types.

    The file holds a JSON list of objects, a JSON object on each line, or CSV with a header. An object is a
    point (``{"optimizer": "adam", "learning_rate": 0.01}``), or a row of the trials table with its `params`
    or its `param_` columns. The sampler draws the params that a point lacks (null, or an empty cell).

    Raises:
        InvalidValueError: the file cannot be read, has another format, or holds points outside the space; the
            message names all of them.
    """
    is_csv = Path(path).suffix.lower() == ".csv"
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        records: Sequence[Mapping[str, Any]] = read_csv(text) if is_csv else _read_json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError(f"--enqueue {path!r} cannot be read: {error}{nearest_file(path)}") from error
    except InvalidValueError as error:
        raise InvalidValueError(f"--enqueue {path!r}: {error}") from error
    points, problems = [], []
    for number, record in enumerate(records, start=1):
        try:
            points.append(check_point(space, _params_of(record, space, are_texts=is_csv)))
        except InvalidValueError as error:
            problems.append(f"point {number}: {error}")
    if problems or not points:
        found = (
            "\n  - ".join(problems)
            or 'it holds no points; write at least one, such as {"learning_rate": 0.01}'
        )
        raise InvalidValueError(f"--enqueue {path!r}:\n  - {found}")
    return points


def _read_json(text: str) -> Sequence[Mapping[str, Any]]:
    try:
        data = parse_written(text)
    except NotJsonError:
        try:
            data = [parse_written(line) for line in text.split("\n") if line.strip()]
        except NotJsonError as error:
            raise InvalidValueError(
                f"it is no JSON: {error}; write a list of objects, an object on each line, or a .csv file"
            ) from error
    records = data if isinstance(data, list) else [data]
    for record in records:
        if not isinstance(record, dict):
            raise InvalidValueError(
                f'a point is an object, got {cut(record)}; write such as {{"learning_rate": 0.01}}'
            )
    return records


def _params_of(record: Mapping[str, Any], space: Space, *, are_texts: bool) -> Mapping[str, object]:
    """The params of a record: its field `params`, else its other fields, with or without `PREFIX`."""
    whole = _object_of(record.get(PARAMS), space)
    prefixed = {name: value for name, value in record.items() if _is_prefixed(name, space)}
    if whole is None:
        params = _typed(space, _columns_of(record, space, of_table=bool(prefixed)), are_texts=are_texts)
    else:
        params = _typed(space, whole, are_texts=False)
        beside = _columns_of(prefixed, space, of_table=True)
        known = {name: value for name, value in beside.items() if name in space.names}
        _check_same(params, _typed(space, known, are_texts=are_texts))
    if not params:
        raise InvalidValueError("it names no parameter; name one, or leave the point out")
    return params


def _object_of(value: Any, space: Space) -> Mapping[str, Any] | None:
    """The object in a field called params, or in its text; None if there is none or it is a parameter."""
    if isinstance(value, str):
        try:
            value = parse_written(value)
        except NotJsonError as error:
            if PARAMS in space.names:
                return None
            raise InvalidValueError(f"its params must be a JSON object, got {cut(value)}") from error
    if isinstance(value, dict):
        return value
    if value is None or PARAMS in space.names:
        return None
    raise InvalidValueError(f"its params must be a JSON object, got {cut(value)}")


def _columns_of(record: Mapping[str, Any], space: Space, *, of_table: bool) -> dict[str, Any]:
    """The fields that have a value, by the names of their parameters.

    Args:
        of_table: some fields have `PREFIX`, so that a field of `OF_TABLES` is a column of the table.

    Raises:
        InvalidValueError: two fields of the same parameter, or a field that may be a parameter or a column.
    """
    names = {
        **{column_of_type(name, kind): name for name in space.names for kind in KNOWN_TYPES},
        **{spelled(name): name for name in space.names},
        **{name: name for name in space.names},
    }
    found: dict[str, Any] = {}
    for column, value in record.items():
        if value is None:
            continue
        if of_table and column in OF_TABLES:
            if column in space.names and PREFIX + column not in record:
                raise InvalidValueError(
                    f"{column} may be the table's column or the parameter; call the latter {PREFIX}{column}"
                )
            continue
        bare = column.removeprefix(PREFIX) if _is_prefixed(column, space) else column
        name = names.get(bare, bare)
        if name in found:
            raise InvalidValueError(f"{name} is there twice, as {column} too; delete one of them")
        if value != "" or name not in space.names or _takes_empty(space[name]):
            found[name] = value
    return found


def _is_prefixed(column: str, space: Space) -> bool:
    return column.startswith(PREFIX) and column not in space.names


def _takes_empty(parameter: Parameter) -> bool:
    return parameter.problem_of("") is None


def _typed(space: Space, params: Mapping[str, Any], *, are_texts: bool) -> dict[str, object]:
    """Values in the types of their parameters. Unknown names stay, for `check_point` to refuse.

    Raises:
        InvalidValueError: some values do not fit their parameters; the message names all of them.
    """
    found: dict[str, object] = {}
    problems = []
    for name, value in params.items():
        try:
            if name not in space.names:
                found[name] = None
            elif are_texts:
                found[name] = read_text(space[name], value)
            else:
                found[name] = _of_json(space[name], value)
        except InvalidValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise InvalidValueError("; ".join(problems))
    return found


def _of_json(parameter: Parameter, value: Any) -> object:
    items = value if isinstance(value, list) else [value]
    odd = [item for item in items if not isinstance(item, bool | int | float | str)]
    if odd:
        kinds = {dict: "an object", list: "a list of lists", type(None): "null"}
        raise InvalidValueError(
            f"a value is a text, a number, true, false, or a list of these, got {kinds[type(odd[0])]}"
        )
    if any(isinstance(item, int) and not INT64_MIN <= item <= INT64_MAX for item in items):
        raise InvalidValueError(f"a whole number must fit in 64 bits, got {cut(value)}")
    if isinstance(value, list):
        return tuple(value)
    return as_whole(value) if isinstance(parameter, Integer) else value


def _check_same(params: Mapping[str, object], columns: Mapping[str, object]) -> None:
    """Refuse a record whose `param_` columns differ from its `params`."""
    problems = [
        f"{PREFIX}{name} is {cut(value)}, and {name} in params {cut(params.get(name))}; make them equal"
        for name, value in columns.items()
        if value != params.get(name)
    ]
    if problems:
        raise InvalidValueError("; ".join(problems))
