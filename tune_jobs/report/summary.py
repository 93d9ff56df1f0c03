"""A study in one sentence, made of its definition, so that it is true for any options.

A study's `description` is written by its author and gives its purpose. Pure; called by `tune_jobs.cli`, and
`space_words` uses its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from eml_models.data.file_names import label
from eml_models.wording import count_of
from tune_jobs.study.bindings import EPOCHS
from tune_jobs.study.definition import Study
from tune_jobs.study.fits import name_of_fit
from tune_jobs.study.parameters import Choice, Constant, Parameter, Role
from tune_jobs.study.space import Space

NUMBERED = re.compile(r"(\w+_)(\d+)")
"""A parameter for one item of a list option: ``width_3``."""


def summary(study: Study) -> str:
    """Sampler, what is searched, networks, data set, trials, epochs, objectives and limits of a study."""
    searched = [p.name for p in applying(study.space) if p.role is Role.SEARCHED]
    up_to = "up to " if study.recipe is not None and EPOCHS in searched else ""
    early = "" if study.asha is None else " with early stopping"
    parts = [
        f"{study.sampler} over {', '.join(_joined(searched)) or 'nothing'}",
        _trained(study),
        f"{count_of(study.trials, 'trial')} of {up_to}{count_of(study.max_epochs, 'epoch')}{early}",
        f"for {', '.join(objective.metric for objective in study.objectives)}",
    ]
    limits = [f"{name} {value:,}" for name, value in study.limits.bounds().items()]
    return "; ".join(parts + ([f"within {', '.join(limits)}"] if limits else []))


def _trained(study: Study) -> str:
    """The networks and the data set of a recipe, or the name of the user's own training function."""
    recipe = study.recipe
    if recipe is None:
        return f"training by {name_of_fit(study.training)}"
    part = "" if recipe.max_train_samples is None else f" ({recipe.max_train_samples:,} training images)"
    return (
        f"{_values(study, 'model', recipe.model)} on {_values(study, 'dataset', label(recipe.dataset))}{part}"
    )


def applying(space: Space) -> list[Parameter]:
    """The parameters that apply to some trial: without those whose condition a fixed value rules out."""
    found: list[Parameter] = []
    fixed = {p.name: p.value for p in space.parameters if isinstance(p, Constant)}
    for parameter in space.parameters:
        when = parameter.when
        parents = [parent for parent in found if when is not None and parent.name == when.parameter]
        if when is None or any(p.role is Role.SEARCHED or when.holds(fixed) for p in parents):
            found.append(parameter)
    return found


def _joined(names: Iterable[str]) -> list[str]:
    """The names, with ``width_1`` to ``width_7`` as one."""
    groups: dict[str, list[str]] = {}
    for name in names:
        numbered = NUMBERED.fullmatch(name)
        groups.setdefault(numbered[1] if numbered else name, []).append(name)
    return [group[0] if len(group) == 1 else f"{group[0]} to {group[-1]}" for group in groups.values()]


def _values(study: Study, name: str, own: str) -> str:
    """The values that the space gives a field of the recipe, or the recipe's own value."""
    parameter: Parameter | None = study.space[name] if name in study.space.names else None
    if isinstance(parameter, Choice):
        return " or ".join(str(value) for value in parameter.values)
    return str(parameter.value) if isinstance(parameter, Constant) else own
