"""Names of parameters that mean something to a study of recipes: fields of the recipe, and a few of its own.

Constants, and the rules of a space that has such a name. A parameter with any other name is an option of the
model (`tune_jobs.study.definition.Study.recipe_for` binds them). Own training binds no name.
"""

from __future__ import annotations

from dataclasses import fields

from eml_models.data.file_names import split_word
from eml_models.training.recipe import Recipe
from tune_jobs.study.candidate import CANDIDATE
from tune_jobs.study.space import Space

RECIPE_FIELDS = frozenset(f.name for f in fields(Recipe))


MACS_SHARE = "macs_share"
"""The parameter that sets a network's width through the share of the MAC limit that it may use."""


REPEAT = "repeat"
"""The parameter whose values stand for several runs of one recipe. These differ in the trial's number alone,
and so in the seed."""


EPOCHS = "epochs"
"""The field of a recipe that ends a trial; a space may search it."""


DATASET = "dataset"
"""The field of a recipe, and the parameter, that name a data set."""


SEED = "seed"
"""The field of a recipe that no parameter may set."""


OF_THE_STUDY = frozenset({MACS_SHARE, REPEAT, CANDIDATE})
"""The parameters that are neither a field of the recipe nor an option of the model."""


def _data_problems(space: Space) -> list[str]:
    """Places of files among the values of a space, because a definition knows data by their fingerprint."""
    if DATASET not in space.names:
        return []
    words = [text for text in map(str, space[DATASET].grid() or ()) if split_word(text) is not None]
    return [
        f"parameter {DATASET} has the place {word!r}, and a study knows files by their fingerprint; write"
        f" eml_models.load_dataset({word!r}).spec.name"
        for word in words
    ]


def binding_problems(space: Space) -> list[str]:
    """Problems of the names in the space of a study of recipes; empty if it is valid."""
    return [*_seed_problems(space), *_data_problems(space)]


def _seed_problems(space: Space) -> list[str]:
    """Problems of a seed as a parameter: it follows from the study's seed and the trial's number."""
    if SEED not in space.names:
        return []
    return [
        f"{SEED!r} cannot be a parameter: every trial has a seed of its own; for N runs of each recipe take"
        f' Integer("{REPEAT}", 1, N)'
    ]
