"""Own training: a function of the user's that trains a trial of a study, instead of a shipped recipe.

Frozen values and types; `tune_jobs.study.definition` holds them, and `tune_jobs.worker` calls the function.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from eml_models.errors import raise_if_any
from tune_jobs.study.json_fields import params_from_json, parse_object
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import as_json_text

Train = Callable[[dict[str, Any], Any], Any]
"""``train(params, run)``: `params` is a plain dict of the space's values, `run` a
`tune_jobs.worker.trial_run.TrialRun`.

It is a generator that yields the metrics of each report, or a function that calls ``run.report(metrics)`` or
returns the metrics of a single report. Metrics are a mapping or a dataclass.
"""

CostFunction = Callable[[dict[str, Any]], Mapping[str, float]]
"""``cost(params)`` returns the costs of a trial by name, before it trains, such as ``{"macs": 3e7}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRecipe:
    """A trial of own training: its params, the number of its reports, its seed and its costs.

    Attributes:
        params: the values of the space by name (not to be changed in place).
        epochs: the report with which the trial is complete, counted from 1.
        seed: of this trial alone; it follows from the study's seed and the trial's number.
        costs: those that the study's cost function computed as the trial was proposed, by name. They are
            stored with its start, because a later run may have another function.
    """

    params: Params
    epochs: int
    seed: int
    costs: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> OwnRecipe:
        """The recipe from a text of `to_json`.

        Raises:
            InvalidValueError: the text is no JSON object.
        """
        data = parse_object(text)
        params = params_from_json(json.dumps(data["params"]))
        return cls(params=params, epochs=data["epochs"], seed=data["seed"], costs=data.get("costs", {}))

    def to_json(self) -> str:
        """The recipe as JSON with sorted keys and no spaces: equal recipes give equal texts."""
        costs = {"costs": dict(self.costs)} if self.costs else {}
        return as_json_text({"params": self.params, "epochs": self.epochs, "seed": self.seed, **costs})


@lru_cache(maxsize=4096)
def costs_of_recipe(text: str) -> Mapping[str, float]:
    """The costs in the text of a recipe; empty for a shipped recipe, whose costs follow from its plan."""
    costs: Mapping[str, float] = parse_object(text).get("costs", {})
    return costs


def calling_problems(name: str, function: object, *arguments: str) -> list[str]:
    """Problems of calling a user's function with positional arguments of these names."""
    if not callable(function):
        return [f"{name} must be a function of {' and '.join(arguments)}, got {function!r}"]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions of C have none; the call will tell
        return []
    try:
        signature.bind(*arguments)
    except TypeError:
        called = getattr(function, "__name__", type(function).__name__)
        return [
            f"{name} is called with {' and '.join(arguments)}, so write it as"
            f" def {name}({', '.join(arguments)}), got {called}{signature}"
        ]
    return []


class StoredTrain:
    """Stands for the training or cost function of a study that was read from a store: a name without code."""

    def __init__(self, name: str) -> None:
        self.__qualname__ = name

    def __call__(self, *args: object) -> Any:
        raise_if_any(
            "own training",
            [
                f"the store has the name of {self.__qualname__} and not its code; name the study by its code,"
                " as for its run: FILE.py:FUNCTION or MODULE:FUNCTION"
            ],
        )
