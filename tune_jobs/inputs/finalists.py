"""The study of a search's finalists: its best recipes and baselines, trained longer with several seeds.

Chooses from the rows of the search and builds a `Study`; `tune_jobs.on_ray.runner` runs it like any other.
The finalists train on the validation images too, and each is tested once, after its last epoch. Their trials
are no part of the search's history.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from eml_models import seeds
from eml_models.errors import InvalidValueError, raise_if_any
from eml_models.networks.registry import get_model
from eml_models.networks.words import SEPARATOR, parse_options
from eml_models.training.recipe import Recipe
from eml_models.wording import count_of
from tune_jobs.feasible.cost import count_cost
from tune_jobs.search.pareto import non_dominated
from tune_jobs.study.candidate import CANDIDATE, SAME_FOR_ALL, Candidate
from tune_jobs.study.definition import EPOCHS, REPEAT, Study
from tune_jobs.study.fits import fit_and_test
from tune_jobs.study.json_fields import objectives_from_json
from tune_jobs.study.method import Limits, SamplerName
from tune_jobs.study.objective import Direction, Objective
from tune_jobs.study.rows import Row, StartRow, State, TrialRow, as_json_text
from tune_jobs.study.space import Choice, Integer, Space

SUFFIX = "-final"
"""What the name of a study of finalists ends with."""

LONGER = 3
"""The epochs of a finalist are so many times those of the search."""

BASELINE = "resnet18"
"""The network that finalists are compared with if nobody names another."""

BASELINE_RECIPE: Mapping[str, Any] = {
    # arXiv 1512.03385, section 4.2, with a cosine schedule (arXiv 1608.03983) in place of the steps
    "optimizer": "sgd_momentum",
    "learning_rate": 0.1,
    "momentum": None,  # the optimizer's own, 0.9
    "weight_decay": 5e-4,
    "schedule": "cosine",
    "warmup_fraction": 0.0,
}
"""How a baseline is trained unless its options say otherwise. The rest is as in the search's own recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalOptions:
    """How finalists are chosen and trained.

    Attributes:
        top: how many of the best.
        front: all that no other is better than, by the study's objectives, in place of the best.
        repeats: seeds of each candidate. Different candidates have different seeds, so that they are
            independent samples.
        epochs: of each; None for `LONGER` times those of the search.
        baselines: ``FAMILY`` or ``FAMILY:OPTION=VALUE,...``; an option is one of the family or a field of the
            recipe.
    """

    top: int = 3
    front: bool = False
    repeats: int = 5
    epochs: int | None = None
    baselines: tuple[str, ...] = (BASELINE,)

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least 1, got {value}"
            for name, value in (("top", self.top), ("repeats", self.repeats), ("epochs", self.epochs))
            if value is not None and value < 1
        ]
        raise_if_any("finalists", problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A recipe that the search trained to its end, under the number of its first trial.

    Attributes:
        objective: the mean over its trials; more than one where the search repeats recipes. Where it searches
            what is the same for all finalists, recipes that differ in nothing else are one, and those of its
            trials that had the most epochs count: they are the nearest to what the finalist gets.
        values: its other metrics and costs by name, of the first trial.
    """

    number: int
    recipe: Recipe
    objective: float
    values: Mapping[str, float]


def final_study(searched: Study, rows: Sequence[Row], options: FinalOptions) -> tuple[Study, list[str]]:
    """The study of the finalists of `searched`, and notes about what was asked and cannot be.

    Raises:
        InvalidValueError: nothing ran to its end, a function of the user's own trains it, or a baseline that
            does not exist.
    """
    if searched.fit is fit_and_test:
        raise InvalidValueError(f"{searched.name!r} is a study of finalists already; name the search")
    tried = list_tried(rows)
    if not tried:
        raise InvalidValueError(
            f"study {searched.name!r} has no completed trial to choose finalists from; run it first"
        )
    epochs = options.epochs or LONGER * searched.max_epochs
    base = searched.recipe.with_changes(train_on="train_and_validation", epochs=epochs)
    those = f"{'up to ' if EPOCHS in searched.space.names else ''}{searched.max_epochs}"
    notes = [f"finalists train for {count_of(epochs, 'epoch')}, the search's trials for {those}"]
    if options.front:
        chosen = [tried[index] for index in front(tried, objectives_of(searched))]
    else:
        chosen = best(tried, searched.objective)[: options.top]
        if options.top > len(tried):
            notes.append(f"the top {options.top} are {len(tried)}: so many recipes ran to their end")
    finalists = [Candidate(name=f"trial-{t.number}", changes=_changes(base, t.recipe)) for t in chosen]
    baselines = [parse_baseline(text, base) for text in dict.fromkeys(options.baselines)]
    candidates = (*finalists, *baselines)
    notes.append(f"compared with {' and '.join(baseline.name for baseline in baselines)}")
    return Study(
        name=searched.name + SUFFIX,
        description=f"Finalists of {searched.name}, trained on train and validation images, and tested once.",
        space=Space(
            Integer(REPEAT, 1, options.repeats),
            Choice(CANDIDATE, tuple(candidate.name for candidate in candidates)),
        ),
        recipe=base,
        trials=options.repeats * len(candidates),
        objectives=(Objective(metric="test_accuracy"),),
        asha=None,
        sampler=SamplerName.GRID,
        limits=Limits(),  # the search refused what breaks its limits; a baseline may be larger
        fit=fit_and_test,
        seed=seeds.derive(
            searched.seed, -1, "finalists"
        ),  # or a finalist could have the seed that made it one
        candidates=candidates,
    ), notes


def list_tried(rows: Iterable[Row]) -> list[Tried]:
    """The recipes whose trials ran to their end with an objective, in order of their first trials.

    A trial whose start cannot be read is left out: nobody knows its recipe.
    """
    recipes: dict[int, Recipe] = {}
    ends: dict[str, list[TrialRow]] = defaultdict(list)
    for row in rows:
        if isinstance(row, StartRow):
            recipes.setdefault(row.number, Recipe.from_json(row.recipe))
        elif not isinstance(row, TrialRow) or row.number not in recipes:
            continue
        elif row.state is State.COMPLETED and row.objective is not None:
            ends[_identity(recipes[row.number])].append(row)
    tried = []
    for of_one in ends.values():
        most = max(recipes[row.number].epochs for row in of_one)
        group = [row for row in of_one if recipes[row.number].epochs == most]
        first = min(group, key=lambda row: row.number)
        objective = fmean(row.objective for row in group if row.objective is not None)
        tried.append(
            Tried(
                number=first.number,
                recipe=recipes[first.number],
                objective=objective,
                values=_values(first),
            )
        )
    return sorted(tried, key=lambda t: t.number)


def _identity(recipe: Recipe) -> str:
    """One text for the recipes that would be the same finalist."""
    return as_json_text({k: v for k, v in recipe.as_dict().items() if k not in SAME_FOR_ALL})


def best(tried: Iterable[Tried], objective: Objective) -> list[Tried]:
    """The best first; the earlier one on ties."""
    return sorted(tried, key=lambda t: (objective.direction.sign * t.objective, t.number))


def objectives_of(study: Study) -> list[tuple[str, Direction]]:
    """What a front is drawn in: the study's objectives; with a single one, that and the MACs."""
    objectives = [(objective.metric, objective.direction) for objective in study.objectives]
    return objectives if len(objectives) > 1 else [*objectives, ("macs", Direction.MINIMIZE)]


def front(trials: Sequence[Tried], objectives: Sequence[tuple[str, Direction]]) -> list[int]:
    """The positions of the trials that no other is better than.

    The first objective is the mean over a recipe's trials; one that was not measured counts as the worst.
    """
    (_, direction), *others = objectives
    points = [
        (t.objective, *(t.values.get(name, way.sign * math.inf) for name, way in others)) for t in trials
    ]
    return non_dominated(points, [direction, *(way for _, way in others)])


def parse_baseline(text: str, base: Recipe) -> Candidate:
    """The candidate that ``FAMILY:OPTION=VALUE,...`` names, trained by `BASELINE_RECIPE`.

    Raises:
        InvalidValueError: an unknown family, option or field, one given twice, or a value that breaks a rule.
    """
    text = "".join(text.split())  # pasted from a table that has wrapped it
    family, _, words = text.partition(SEPARATOR)
    known = {option.name for option in get_model(family).options}
    given, problems = parse_options(words, family)
    problems += [f"{name} is the same for all candidates" for name in given if name in SAME_FOR_ALL]
    raise_if_any(f"baseline {text!r} (FAMILY:OPTION=VALUE,...)", problems)
    fields = {name: value for name, value in given.items() if name not in known}
    options = {name: value for name, value in given.items() if name in known}
    recipe = base.with_changes(**{"model": family, "model_options": options, **BASELINE_RECIPE, **fields})
    count_cost(recipe)  # the images may be too small for it
    return Candidate(name=text, changes=_changes(base, recipe), baseline=True)


def _changes(base: Recipe, recipe: Recipe) -> dict[str, Any]:
    """The fields in which a recipe differs from the base, as plain data."""
    before, after = base.as_dict(), recipe.as_dict()
    return {k: v for k, v in after.items() if k not in SAME_FOR_ALL and before[k] != v}


def _values(row: TrialRow) -> dict[str, float]:
    """Every number that an objective may be of."""
    costs = {name: getattr(row, name) for name in ("macs", "parameters", "latency_ms")}
    known = {name: float(value) for name, value in costs.items() if value is not None}
    return {**known, **objectives_from_json(row.objectives)}
