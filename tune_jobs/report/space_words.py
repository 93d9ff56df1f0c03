"""A space in words: a table of the parameters that are searched, and a line of the values that are fixed.

Pure; for people before a run. Called by `preview`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from eml_models.data.file_names import label
from eml_models.training.recipe import Recipe
from eml_models.wording import listed
from tune_jobs.report.for_people import short
from tune_jobs.report.summary import NUMBERED, applying
from tune_jobs.report.tables import Table
from tune_jobs.study.bindings import DATASET, MACS_SHARE, REPEAT, SEED
from tune_jobs.study.candidate import CANDIDATE
from tune_jobs.study.definition import Study
from tune_jobs.study.fits import name_of_fit
from tune_jobs.study.parameters import Choice, Constant, Float, Parameter, Role

NOTES = {
    MACS_SHARE: "the share of max_macs that a network may use",
    REPEAT: "runs of each recipe with other seeds",
}
"""Parameters of recipes that need a word of explanation."""

MOST_CHOICES = 12
"""Choices beyond this number are counted and not listed."""

ALWAYS = (
    "model",
    "dataset",
    "epochs",
    "batch_size",
    "optimizer",
    "learning_rate",
    "schedule",
    "precision",
)
"""Fields of a recipe that are named even if they have their defaults."""


def searched_table(study: Study) -> Table:
    """A row for each searched parameter: its values, and the condition under which it applies.

    Parameters such as ``width_1`` to ``width_7`` share a row if they have the same values.
    """
    rows: list[tuple[str, str, str, str]] = []  # first name, last name, values, condition
    for parameter in applying(study.space):
        if parameter.role is not Role.SEARCHED:
            continue
        values, when = values_in_words(parameter, own=study.train is not None), _condition(parameter)
        first, last = rows[-1][:2] if rows else ("", "")
        if rows and rows[-1][2:] == (values, when) and _follows(last, parameter.name):
            rows[-1] = (first, parameter.name, values, when)
        else:
            rows.append((parameter.name, parameter.name, values, when))
    shown = tuple(
        (first if first == last else f"{first} to {last}", values, when) for first, last, values, when in rows
    )
    table = Table(columns=("searched", "values", "applies if"), rows=shown)
    return table if any(when for *_, when in shown) else table.without("applies if")


def _follows(last: str, name: str) -> bool:
    """Whether `name` has the number behind that of `last`: ``width_3`` behind ``width_2``."""
    before, after = NUMBERED.fullmatch(last), NUMBERED.fullmatch(name)
    return before is not None and after is not None and before[1] == after[1]


def values_in_words(parameter: Parameter, *, own: bool = False) -> str:
    """The values of a parameter: a list, or its bounds with scale and step.

    Args:
        own: whether it is of own training, so that its name means nothing here.
    """
    note = f"; {NOTES[parameter.name]}" if parameter.name in NOTES and not own else ""
    if isinstance(parameter, Constant):
        return f"{short(parameter.value)}{note}"
    if isinstance(parameter, Choice):
        return f"{_choices(parameter.values)}{note}"
    step = parameter.step not in (None, 1) or isinstance(parameter, Float)
    how = f" in steps of {parameter.step:g}" if step and parameter.step is not None else ""
    scale = " on a logarithmic scale" if parameter.log else ""
    return f"{_bound(parameter.low)} to {_bound(parameter.high)}{scale}{how}{note}"


def _bound(value: float) -> str:
    """A bound with all its digits; whole numbers have no comma, because they may be pasted."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _condition(parameter: Parameter) -> str:
    when = parameter.when
    if when is None:
        return ""
    return f"{when.parameter} is {_choices(when.values)}"


def _choices(values: Sequence[object]) -> str:
    if len(values) <= MOST_CHOICES:
        return listed([short(value) for value in values], "or")
    first = ", ".join(short(value) for value in values[:MOST_CHOICES])
    return f"{first} or {len(values) - MOST_CHOICES:,} others"


def fixed_values(study: Study) -> list[str]:
    """``NAME VALUE`` for each value that is the same in all trials and that a reader may want to know.

    These are the constants of the space, then the fields of the recipe that no parameter sets: those of
    `ALWAYS`, and others that do not have their defaults. Own training has no recipe; its name stands instead.
    """
    constants = [p for p in applying(study.space) if isinstance(p, Constant)]
    words = [f"{name} {value}" for name, value in _grouped((p.name, short(p.value)) for p in constants)]
    if study.recipe is None:
        return [*words, f"training by {name_of_fit(study.training)}", f"epochs {study.max_epochs}"]
    if study.candidates or CANDIDATE in study.space.names:
        names: Iterable[str] = ("dataset", "epochs", "precision", "train_on")
    else:
        names = (*ALWAYS, *(f.name for f in fields(Recipe) if f.name not in ALWAYS and f.name != SEED))
    for name in names:
        value = getattr(study.recipe, name)
        default = next(f.default for f in fields(Recipe) if f.name == name)
        if name in study.space.names or value in (None, {}) or (name not in ALWAYS and value == default):
            continue
        if name == "model_options":
            words += [f"{option} {short(chosen)}" for option, chosen in value.items()]
        else:
            words.append(f"{name} {label(value) if name == DATASET else short(value)}")
    return words


def _grouped(values: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names and values, with ``depth_1`` to ``depth_7`` as a single name if they have the same value."""
    found: list[tuple[str, str, str]] = []
    for name, value in values:
        if found and found[-1][2] == value and _follows(found[-1][1], name):
            found[-1] = (found[-1][0], name, value)
        else:
            found.append((name, name, value))
    return [(a if a == b else f"{a} to {b}", value) for a, b, value in found]
