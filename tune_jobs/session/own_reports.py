"""Checks the metrics of a report of own training, and writes them as the text of their column.

Own training may report any metric. A worker sends numbers, truth values and texts by name
(`tune_jobs.worker.own_attempt` refuses everything else). An objective that is missing or no number fails the
trial; an objective that is NaN or infinite means that the training has diverged. Any other number that is not
finite becomes null. `state_machine` asks whether a report can be used, `row_builder` for its text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from eml_models.errors import sort_by_nearness
from tune_jobs.feasible.own_cost import OwnCost
from tune_jobs.session.attempt import LiveAttempt
from tune_jobs.session.report_checks import number_of, words_of_nearest
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import Objective
from tune_jobs.study.rows import Failure, as_json_text

SAME_MEANING = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")
"""Metrics of own training that fill the column of their name too."""


def own_report_problem(
    study: Study, live: LiveAttempt, own: Mapping[str, object]
) -> tuple[Failure, str] | None:
    """Why a report of own training cannot be used, with the kind of failure; None if it can be used."""
    costs = live.cost.values if isinstance(live.cost, OwnCost) else {}
    if twice := sorted(costs.keys() & own.keys()):
        return Failure.RAISED, (
            f"the report has {twice[0]}, which the study's cost function computes too; rename one of them"
        )
    for name in study.metrics:
        if name in costs:
            continue
        if own.get(name) is None:
            return Failure.RAISED, _missing(name, own)
        value = number_of(own[name])
        if value is None:
            rule = f"{name} is an objective, so it must be a number, got {own[name]!r}"
            return Failure.RAISED, f"{rule}; report a number, or choose another objective"
        if not math.isfinite(value):
            return Failure.DIVERGED, f"{name} is {value}"
    return None


def _missing(name: str, own: Mapping[str, object]) -> str:
    if name in own:
        return f"{name} is an objective, so it must be a number, got None; report it once it is known"
    if not own:
        return f'the report lacks the objective {name}; it is empty. Report such as {{"{name}": 0.7}}'
    near = sort_by_nearness(name, own)
    default = ", which is that of a study without objectives=" if name == Objective().metric else ""
    said = f"the report lacks the objective {name}{default}; it has, nearest first: {', '.join(near)}"
    hint = words_of_nearest(name, near)
    return f"{said}{hint}" + ("; a study with another objective needs another name (--name)" if hint else "")


def objective_values(study: Study, live: LiveAttempt, own: Mapping[str, object]) -> dict[str, float | None]:
    """The objectives of a report, from its metrics and the costs of its trial."""
    costs = live.cost.values if isinstance(live.cost, OwnCost) else {}
    return {name: number_of({**own, **costs}.get(name)) for name in study.metrics}


def own_metrics_text(own: Mapping[str, object], cost: OwnCost) -> str:
    """The text of column `metrics`: the report's metrics and the costs; NaN and infinities are null."""
    values = {name: _storable(value) for name, value in own.items()}
    return as_json_text({**values, **cost.values})


def same_columns(own: Mapping[str, object]) -> dict[str, float]:
    """The columns that metrics of own training fill, because the names mean the same."""
    numbers = {name: number_of(own.get(name)) for name in SAME_MEANING}
    return {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}


def _storable(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # half of a surrogate pair has no place in a file
    number = number_of(value)
    return None if number is not None and not math.isfinite(number) else value
