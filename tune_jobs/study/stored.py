"""A study from its stored definition, the way back from `Study.definition`, and where two definitions differ.

For those who have the store and not the code: auditing, replaying. What the definition does not hold (how
many trials, how to run them) has its default; the training function is named in it, not contained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.study.candidate import Candidate
from tune_jobs.study.definition import DEFINITION_VERSION, Study
from tune_jobs.study.fits import SHIPPED_FITS, fit_recipe
from tune_jobs.study.method import Asha, LatencyMode, Limits, SamplerName
from tune_jobs.study.objective import Objective
from tune_jobs.study.space import Choice, Constant, Float, Integer, Parameter, Space, When

KINDS: Mapping[str, Callable[..., Parameter]] = {
    "float": Float,
    "integer": Integer,
    "choice": Choice,
    "constant": Constant,
}
NEEDS_CODE = (
    "needs what its own code registers: {error}. Name it by its code, as it was run:"
    " FILE.py:FUNCTION or MODULE:FUNCTION"
)


def study_from_definition(name: str, definition: Mapping[str, Any]) -> Study:
    """The study that a store defines under `name`; for a training function of a user's own, `fit_recipe`.

    Raises:
        InvalidValueError: a definition of another version, or with a network or data set that is
        not registered in this process.
    """
    if definition.get("version") != DEFINITION_VERSION:
        raise InvalidValueError(
            f"the definition of study {name!r} has version {definition.get('version')!r}, this program knows"
            f" {DEFINITION_VERSION}; use the tune-jobs that wrote it"
        )
    asha = definition["asha"]
    try:
        recipe = Recipe(**definition["recipe"])
    except InvalidValueError as error:
        raise InvalidValueError(f"study {name!r} {NEEDS_CODE.format(error=error)}") from error
    return Study(
        name=name,
        space=Space(*(_parameter(data) for data in definition["space"])),
        recipe=recipe,
        objectives=tuple(Objective(metric=objective["metric"]) for objective in definition["objectives"]),
        asha=Asha(**asha) if asha else None,
        sampler=SamplerName(definition["sampler"]),
        limits=Limits(**definition["limits"]),
        fit=SHIPPED_FITS.get(definition["fit"], fit_recipe),
        seed=definition["seed"],
        latency=LatencyMode(**definition["latency"]) if definition["latency"] else None,
        candidates=tuple(Candidate(**data) for data in definition["candidates"]),
    )


def _parameter(data: Mapping[str, Any]) -> Parameter:
    fields = {key: value for key, value in data.items() if key not in ("kind", "role", "when")}
    when = data["when"]
    if when is not None:
        fields["when"] = When(when["parameter"], tuple(when["values"]))
    return KINDS[data["kind"]](**fields)


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Where two definitions differ, one readable line each; empty if they are equal."""
    return list(_iter_differences("", old, new))


def _iter_differences(path: str, old: object, new: object) -> Iterable[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _iter_differences(f"{path}.{key}" if path else str(key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and all(_is_named(x) for x in [*old, *new]):
        yield from _iter_differences(path, {x["name"]: x for x in old}, {x["name"]: x for x in new})
    elif old != new:
        yield f"{path}: was {old!r}, is now {new!r}"


def _is_named(item: object) -> bool:
    return isinstance(item, Mapping) and "name" in item
