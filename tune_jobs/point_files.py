"""Reads the points of ``--enqueue``: JSON or CSV, also as `query` writes them. Touches one file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError
from tune_jobs.search.given import check_point
from tune_jobs.space import Params, Space

PREFIX = "param_"


def read_points(path: str, space: Space) -> list[Params]:
    """The points in a file, each with the space's own types.

    The file holds a JSON list of objects, one JSON object a line, or CSV with a header. An object is a point
    (``{"optimizer": "adam", "learning_rate": 0.01}``), or a row of the trials table with its `params`.
    What a point leaves out, the sampler draws.

    Raises:
        InvalidValueError: no such file, another format, or with all points that are not of the space.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError(f"--enqueue {path!r} cannot be read: {error}") from error
    records = _read_csv(text) if file.suffix.lower() == ".csv" else _read_json(text, path)
    points, problems = [], []
    for number, record in enumerate(records, start=1):
        try:
            points.append(check_point(space, _params_of(record)))
        except InvalidValueError as error:
            problems.append(f"point {number}: {error}")
    if problems or not points:
        found = "\n  - ".join(problems) or "it holds no points"
        raise InvalidValueError(f"--enqueue {path!r}:\n  - {found}")
    return points


def _read_json(text: str, path: str) -> Sequence[Mapping[str, Any]]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        try:
            data = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise InvalidValueError(
                f"--enqueue {path!r} is no JSON: {error}; write a list of objects, one object a line, or CSV"
                " (named .csv)"
            ) from error
    records = data if isinstance(data, list) else [data]
    wrong = next((record for record in records if not isinstance(record, dict)), None)
    if wrong is not None:
        raise InvalidValueError(f"--enqueue {path!r}: a point is an object, got {wrong!r}")
    return records


def _read_csv(text: str) -> Sequence[Mapping[str, Any]]:
    rows = csv.DictReader(io.StringIO(text))
    return [{name: _value(cell) for name, cell in row.items() if name and cell} for row in rows]


def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except json.JSONDecodeError:
        return cell


def _params_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The params of a record: its `params`, else its own fields, with or without the columns' prefix."""
    params = record.get("params")
    if isinstance(params, str):
        try:
            params = json.loads(params)
        except json.JSONDecodeError as error:
            raise InvalidValueError(f"its params are no JSON: {params!r}") from error
    if isinstance(params, dict):
        return params
    return {name.removeprefix(PREFIX): value for name, value in record.items() if value is not None}
