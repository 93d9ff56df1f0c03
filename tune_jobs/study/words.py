"""The command line's words for changes of a study, as fields of the study: `epochs`, `max_macs`, `fix`.

`Study.with_changes` takes them as keywords, and `run` and `submit` as options. Both come here, so that a word
means the same in both. Pure functions; a `Spelling` writes the words of an error as its reader writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from eml_models.errors import InvalidValueError, raise_if_any
from eml_models.training.recipe import Recipe
from eml_models.wording import cut
from tune_jobs.study.amounts import parse_macs
from tune_jobs.study.method import LatencyMode, Limits
from tune_jobs.study.space import Space
from tune_jobs.study.written_numbers import parse_count, read_whole

OF_THE_RECIPE = {
    "epochs": "epochs",
    "dataset": "dataset",
    "precision": "precision",
    "train_samples": "max_train_samples",
}
"""Words for fields of the study's recipe, with these fields. A space may set such a field too."""

COUNTED_LIMITS = ("max_macs", "min_macs", "max_parameters")
OF_LIMITS = (*COUNTED_LIMITS, "max_latency_ms")
MEASURE, NO_ASHA, FIX = "measure_latency", "no_asha", "fix"

WORDS = (*OF_THE_RECIPE, *OF_LIMITS, MEASURE, NO_ASHA, FIX)
"""All words that are no field of a study; `epochs` is both."""

DATASET_OF_OWN = "cifar10"
"""The data set whose images a share such as ``0.5*resnet18`` is of, where a study has no recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How the reader of an error writes a word, a word with its value, and a parameter that is held."""

    word: Callable[[str], str]
    given: Callable[[str, object], str]
    fixed: Callable[[str, object], str]


PYTHON = Spelling(
    word=lambda name: name,
    given=lambda name, value: f"{name}={value!r}",
    fixed=lambda name, value: f"fix={{{name!r}: {value!r}}}",
)
TYPED = Spelling(
    word=lambda name: "--" + name.replace("_", "-"),
    given=lambda name, value: f"--{name.replace('_', '-')} {value}",
    fixed=lambda name, value: f"--fix {name}={value}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a study that words change."""

    name: str
    recipe: Recipe | None
    space: Space
    limits: Limits


def fields_of(words: Mapping[str, Any], parts: Parts, spelling: Spelling = PYTHON) -> dict[str, Any]:
    """The fields of a study that words change, with their new values; a word that is None changes nothing.

    Raises:
        InvalidValueError: a word does not suit the study, or a value breaks a rule.
    """
    given = {name: value for name, value in words.items() if value is not None}
    of_recipe = {name: value for name, value in given.items() if name in OF_THE_RECIPE}
    changes = _of_recipe(of_recipe, parts, spelling)
    dataset = given.get("dataset") or (parts.recipe.dataset if parts.recipe else DATASET_OF_OWN)
    limits: dict[str, Any] = {n: _limit(n, given[n], str(dataset), spelling) for n in OF_LIMITS if n in given}
    if limits:
        changes["limits"] = replace(parts.limits, **limits)
    if MEASURE in given:
        changes["latency"] = as_latency(given[MEASURE], spelling)
    if given.get(NO_ASHA, False) is not False:
        if given[NO_ASHA] is not True:
            raise InvalidValueError(f"{NO_ASHA} must be True or False, got {cut(given[NO_ASHA])}")
        changes["asha"] = None
    if given.get(FIX):
        changes["space"] = _fixed(given[FIX], parts.space)
    return changes


def _of_recipe(asked: Mapping[str, Any], parts: Parts, spelling: Spelling) -> dict[str, Any]:
    """The recipe that words change, or the epochs of own training."""
    if not asked:
        return {}
    recipe = parts.recipe
    if recipe is None:
        others = [name for name in asked if name != "epochs"]
        problems = [
            f"{spelling.word(name)} is of a recipe, and this study trains by its own function; leave it out"
            for name in others
        ]
    else:
        problems = [
            _overruled(name, value, spelling)
            for name, value in asked.items()
            if OF_THE_RECIPE[name] in parts.space.names
        ]
    raise_if_any(f"study {parts.name!r}", problems)
    if recipe is None:
        return dict(asked)
    return {"recipe": recipe.with_changes(**{OF_THE_RECIPE[n]: value for n, value in asked.items()})}


def _overruled(name: str, value: object, spelling: Spelling) -> str:
    """The error for a word whose field the study's space sets in every trial."""
    field = OF_THE_RECIPE[name]
    return (
        f"its space sets {field}, so {spelling.given(name, value)} would change nothing; hold it at this"
        f" value with {spelling.fixed(field, value)}"
    )


def _limit(name: str, value: object, dataset: str, spelling: Spelling) -> object:
    """A limit; a text is a count, or a share of a network on `dataset`. `Limits` checks a number."""
    if not isinstance(value, str) or name not in COUNTED_LIMITS:
        return value
    try:
        return parse_count(value) if name == "max_parameters" else parse_macs(value, dataset)
    except InvalidValueError as error:
        raise InvalidValueError(f"{spelling.word(name)}: {error}") from error


def as_latency(value: object, spelling: Spelling = PYTHON) -> Any:
    """The mode of ``MODE``, ``MODE@BATCH`` or ``@BATCH``, with defaults; `Study` checks other values."""
    if not isinstance(value, str):
        return value
    mode, at, batch = value.partition("@")
    try:
        size = {"batch_size": read_whole(batch)} if at else {}
    except InvalidValueError as error:
        raise InvalidValueError(
            f"{spelling.word(MEASURE)} must be MODE@BATCH with a whole number of images, got {value!r}"
        ) from error
    return LatencyMode(**({"mode": mode} if mode else {}), **size)  # type: ignore[arg-type]  # a mode and a size


def _fixed(values: object, space: Space) -> Space:
    if not isinstance(values, Mapping):
        raise InvalidValueError(
            f"{FIX} must be a dict of parameters and their values, got {cut(values)}; write such as"
            " fix={'optimizer': 'adam'}"
        )
    return space.fixed({n: tuple(v) if isinstance(v, list) else v for n, v in values.items()})
