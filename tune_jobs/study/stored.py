"""A study from its stored definition: the way back from `Study.definition`.

Auditing and replaying need it, because they have the store and not the study's code. The number of trials is
not in a definition and takes its default. The training function is there by its name alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs.study.candidate import Candidate
from tune_jobs.study.definition import DEFINITION_VERSION, Study
from tune_jobs.study.fits import SHIPPED_FITS, fit_recipe
from tune_jobs.study.method import Asha, LatencyMode, Limits, SamplerName
from tune_jobs.study.objective import Direction, Objective
from tune_jobs.study.own_training import StoredTrain
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, When
from tune_jobs.study.space import Space

KINDS: Mapping[str, Callable[..., Parameter]] = {
    "float": Float,
    "integer": Integer,
    "choice": Choice,
    "constant": Constant,
}
NEEDS_CODE = (
    "needs parts that its own code registers: {error}. Name it by its code, as for its run:"
    " FILE.py:FUNCTION or MODULE:FUNCTION"
)


def study_from_definition(name: str, definition: Mapping[str, Any]) -> Study:
    """The study of a stored definition; own training has a name there and no code.

    Raises:
        InvalidValueError: the definition has another version, or names a network or data set that is not
            registered in this process.
    """
    if definition.get("version") != DEFINITION_VERSION:
        raise InvalidValueError(
            f"the definition of study {name!r} has version {definition.get('version')!r}, this program reads"
            f" version {DEFINITION_VERSION} alone; use the tune-jobs that wrote it"
        )
    asha = definition["asha"]
    try:
        recipe = Recipe(**definition["recipe"]) if definition["recipe"] else None
    except InvalidValueError as error:
        raise InvalidValueError(f"study {name!r} {NEEDS_CODE.format(error=error)}") from error
    return Study(
        name=name,
        space=Space(*(_parameter(data) for data in definition["space"])),
        recipe=recipe,
        train=_stand_in(definition["train"]),
        epochs=definition["epochs"],
        cost=_stand_in(definition["cost"]),
        objectives=objectives_of(definition),
        asha=Asha(**asha) if asha else None,
        sampler=SamplerName(definition["sampler"]),
        limits=Limits.from_json(definition["limits"]),
        fit=SHIPPED_FITS.get(definition["fit"], fit_recipe),
        seed=definition["seed"],
        latency=LatencyMode(**definition["latency"]) if definition["latency"] else None,
        candidates=tuple(Candidate(**data) for data in definition["candidates"]),
    )


def objectives_of(definition: Mapping[str, Any]) -> tuple[Objective, ...]:
    """The objectives of a stored definition."""
    own = definition["train"] is not None
    return tuple(Objective(o["metric"], Direction(o["direction"]), own=own) for o in definition["objectives"])


def _stand_in(name: str | None) -> StoredTrain | None:
    return None if name is None else StoredTrain(name)


def _parameter(data: Mapping[str, Any]) -> Parameter:
    fields = {key: value for key, value in data.items() if key not in ("kind", "role", "when")}
    when = data["when"]
    if when is not None:
        fields["when"] = When(when["parameter"], tuple(when["values"]))
    return KINDS[data["kind"]](**fields)
