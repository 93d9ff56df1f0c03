"""Fields of a study as a person gives them: a list for a space, a dictionary for limits.

Brings each into the form of its field, or refuses it with the way out. Called by the checks of `Study`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eml_models.training.recipe import Recipe
from tune_jobs.study.field_kinds import FUNCTION, TEXT, WHOLE, Kind, UnfitError, instance_of
from tune_jobs.study.method import Asha, LatencyMode, Limits
from tune_jobs.study.parameters import Parameter
from tune_jobs.study.space import EXAMPLE, Space


def as_limits(value: Any) -> Any:
    """Limits as a person gives them: a dictionary by cost, or None for none."""
    if isinstance(value, Mapping):
        return Limits.of_costs(value)
    return Limits() if value is None else value


def _read_space(value: Any) -> Space:
    if isinstance(value, list | tuple | Parameter):
        return Space(value)
    if not isinstance(value, Space):
        raise UnfitError
    return value


FIELD_KINDS: Mapping[str, Kind] = {
    "name": TEXT,
    "description": TEXT,
    "space": Kind("a Space", _read_space, f"write such as space={EXAMPLE}"),
    "recipe": instance_of(
        Recipe, "a Recipe", way_out="write such as recipe=Recipe(learning_rate=0.1, epochs=9)"
    ).or_none("None, with train="),
    "epochs": WHOLE.or_none("None, with a recipe"),
    "trials": WHOLE,
    "asha": instance_of(Asha, "an Asha", way_out="write such as asha=Asha(min_epochs=1)").or_none(
        "None, which stops no trial early"
    ),
    "limits": instance_of(Limits, "a Limits", way_out="write such as limits=Limits(max_macs=30_000_000)"),
    "fit": FUNCTION,
    "seed": WHOLE,
    "latency": instance_of(
        LatencyMode, "a LatencyMode", way_out='write such as latency=LatencyMode(mode="fp32")'
    ).or_none("None, which measures none"),
}
"""The kinds of a study's fields; the others have rules of their own."""
