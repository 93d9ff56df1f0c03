"""Check of the JSON texts of a row: readers rely on their shape.

`tune_jobs.store.columns.convert` calls `json_problems` when a row is appended, and again when it is read.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.study.events import detail_of
from tune_jobs.study.json_fields import (
    Rule,
    is_count,
    is_flag,
    is_number,
    is_numbers,
    is_params,
    is_text,
    is_whole,
    metrics_from_json,
    objectives_from_json,
    params_from_json,
    parse_object,
    shape_problems,
)
from tune_jobs.study.rows import EventRow, ReportRow, Row, StartRow, TrialRow


def json_problems(row: Row) -> list[str]:
    """Problems of the JSON texts of a row, each with the name of its column; empty if there are none."""
    problems = []
    for name, check in _FIELDS.get(type(row), {}).items():
        try:
            check(row)
        except InvalidValueError as error:
            problems.append(f"{name} {error}")
    return problems


def _check_recipe(row: Any) -> None:
    """Check the shape of a recipe, or of the recipe of own training, which holds its params."""
    recipe = parse_object(row.recipe)
    problems = list(shape_problems(recipe, _OWN_RECIPE if "params" in recipe else _RECIPE))
    if problems:
        raise InvalidValueError("; ".join(problems))


_FIELDS: dict[type[Row], dict[str, Callable[[Any], object]]] = {
    StartRow: {"params": lambda row: params_from_json(row.params), "recipe": _check_recipe},
    ReportRow: {"metrics": lambda row: metrics_from_json(row.metrics)},
    TrialRow: {
        "metrics": lambda row: metrics_from_json(row.metrics),
        "params": lambda row: params_from_json(row.params),
        "objectives": lambda row: objectives_from_json(row.objectives),
    },
    EventRow: {"detail": detail_of},
}

_NUMBER, _WHOLE = Rule("a number", is_number), Rule("a whole number", is_whole)
_BY_HINT: Mapping[Any, Rule] = {
    float: _NUMBER,
    float | None: _NUMBER.or_null(),
    int: _WHOLE,
    int | None: _WHOLE.or_null(),
    bool: Rule("true or false", is_flag),
    Mapping[str, Any]: Rule("options", is_params),
}
_RECIPE = {
    name: _BY_HINT.get(hint, Rule("text", is_text)) for name, hint in typing.get_type_hints(Recipe).items()
}
"""The rule for each field, from its type. `Recipe` itself checks that its values suit each other."""
_OWN_RECIPE = {
    "params": Rule("options", is_params, required=True),
    "epochs": Rule("a count", is_count, required=True),
    "seed": Rule("a whole number", is_whole, required=True),
    "costs": Rule("numbers by name", is_numbers),
}
