"""The study of a search's finalists: its best recipes and baselines, trained longer with several seeds.

Chooses from the rows of the search and builds a `Study`; `tune_jobs.on_ray.runner` runs it like any other.
The finalists train on the validation images too, and each is tested once, after its last epoch. Their trials
are not part of the search's history. Called by `tune_jobs.cli.finalists_commands`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from eml_models import seeds
from eml_models.data.datasets import get_dataset_spec
from eml_models.errors import InvalidValueError, raise_if_any
from eml_models.networks.registry import build_plan, get_model
from eml_models.networks.words import SEPARATOR, parse_options
from eml_models.training.optimizers import get_optimizer_spec
from eml_models.training.recipe import Recipe
from eml_models.wording import count_of
from tune_jobs.feasible.cost import count_cost
from tune_jobs.search.pareto import non_dominated
from tune_jobs.study.bindings import EPOCHS, REPEAT
from tune_jobs.study.candidate import CANDIDATE, SAME_FOR_ALL, Candidate
from tune_jobs.study.definition import Study
from tune_jobs.study.fits import fit_and_test
from tune_jobs.study.json_fields import objectives_from_json
from tune_jobs.study.method import Limits, SamplerName
from tune_jobs.study.objective import Direction, Objective
from tune_jobs.study.parameters import Choice, Integer
from tune_jobs.study.rows import Row, StartRow, State, TrialRow, as_json_text
from tune_jobs.study.space import Space

SUFFIX = "-final"
"""The end of the name of a study of finalists."""

EPOCHS_FACTOR = 3
"""The factor from the epochs of the search to those of a finalist."""

BASELINE = "resnet18"
"""The network to compare finalists with, without ``--baseline``."""

BASELINE_RECIPE: Mapping[str, Any] = {
    # arXiv 1512.03385, section 4.2, with a cosine schedule (arXiv 1608.03983) in place of the steps
    "optimizer": "sgd_momentum",
    "learning_rate": 0.1,
    "momentum": None,  # the optimizer's own, 0.9
    "weight_decay": 5e-4,
    "schedule": "cosine",
    "warmup_fraction": 0.0,
}
"""The recipe of a baseline unless its options say otherwise; other fields are as in the search's recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalOptions:
    """How finalists are chosen and trained.

    Attributes:
        top: the number of best trials to take.
        front: take all trials of the front of the study's objectives instead.
        repeats: seeds of each candidate. Candidates have different seeds, so that they are independent
            samples.
        epochs: epochs of each trial; None for `EPOCHS_FACTOR` times those of the search.
        baselines: ``FAMILY`` or ``FAMILY:OPTION=VALUE,...``; an option is an option of the family or a field
            of the recipe.
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
        objective: the mean over its trials; a search that repeats recipes has several. Recipes that differ
            only in fields that all finalists share (`SAME_FOR_ALL`) are the same recipe. Of their trials,
            those with the most epochs count, because a finalist trains still longer.
        values: other metrics and costs of the first trial, by name.
    """

    number: int
    recipe: Recipe
    objective: float
    values: Mapping[str, float]


def final_study(searched: Study, rows: Sequence[Row], options: FinalOptions) -> tuple[Study, list[str]]:
    """The study of the finalists of `searched`, and notes for the user.

    Raises:
        InvalidValueError: no trial ran to its end, `searched` is a study of finalists, or a baseline does not
            exist.
    """
    if searched.fit is fit_and_test:
        raise InvalidValueError(f"{searched.name!r} is a study of finalists already; name the search")
    tried = list_tried(rows)
    if not tried:
        raise InvalidValueError(
            f"study {searched.name!r} has no completed trial to choose finalists from; run it first"
        )
    epochs = options.epochs or EPOCHS_FACTOR * searched.max_epochs
    base = searched.shipped_recipe.with_changes(train_on="train_and_validation", epochs=epochs)
    those = f"{'up to ' if EPOCHS in searched.space.names else ''}{searched.max_epochs}"
    notes = [f"finalists train for {count_of(epochs, 'epoch')}, the search's trials for {those}"]
    if options.front:
        chosen = [tried[index] for index in front(tried, objectives_of(searched))]
    else:
        chosen = best(tried, searched.objective)[: options.top]
        if options.top > len(tried):
            notes.append(
                f"--top {options.top} takes {count_of(len(tried), 'recipe')}: no more ran to their end"
            )
    finalists = [Candidate(name=f"trial-{t.number}", changes=_changes(base, t.recipe)) for t in chosen]
    baselines, same = _different(
        [parse_baseline(text, base) for text in dict.fromkeys(options.baselines)], base
    )
    notes += same
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
        limits=Limits(),  # the search kept its limits; a baseline may be larger
        fit=fit_and_test,
        # not the search's seed, or a finalist could train again with the very seed of its success
        seed=seeds.derive(searched.seed, -1, "finalists"),
        candidates=candidates,
    ), notes


def list_tried(rows: Iterable[Row]) -> list[Tried]:
    """The recipes whose trials ran to their end with an objective, in order of their first trials.

    A trial whose start cannot be read is left out, because its recipe is unknown.
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
    """A text that is equal for recipes that would be the same finalist."""
    return as_json_text({k: v for k, v in recipe.as_dict().items() if k not in SAME_FOR_ALL})


def _different(baselines: Iterable[Candidate], base: Recipe) -> tuple[list[Candidate], list[str]]:
    """The baselines without repetitions in other words, and a note for each of these."""
    kept: dict[tuple[object, str], Candidate] = {}
    notes = []
    for baseline in baselines:
        first = kept.setdefault(_trained_as(base.with_changes(**baseline.changes)), baseline)
        if first is not baseline:
            notes.append(
                f"baseline {baseline.name} is left out: it has the network and the recipe of {first.name} in"
                " other words"
            )
    return list(kept.values()), notes


def _trained_as(recipe: Recipe) -> tuple[object, str]:
    """The layers of a recipe's network and its other fields, with the optimizer's own momentum."""
    data = get_dataset_spec(recipe.dataset)
    plan = build_plan(
        recipe.model, input_shape=data.input_shape, num_classes=data.num_classes, **recipe.model_options
    )
    momentum = get_optimizer_spec(recipe.optimizer).momentum if recipe.momentum is None else recipe.momentum
    return plan.nodes, _identity(recipe.with_changes(model_options={}, momentum=momentum))


def best(tried: Iterable[Tried], objective: Objective) -> list[Tried]:
    """The recipes, the best first; of equals, the earlier first."""
    return sorted(tried, key=lambda t: (objective.direction.sign * t.objective, t.number))


def objectives_of(study: Study) -> list[tuple[str, Direction]]:
    """The objectives of a front: those of the study, or its single objective and the MACs."""
    objectives = [(objective.metric, objective.direction) for objective in study.objectives]
    return objectives if len(objectives) > 1 else [*objectives, ("macs", Direction.MINIMIZE)]


def front(trials: Sequence[Tried], objectives: Sequence[tuple[str, Direction]]) -> list[int]:
    """The positions of the trials on the front: no other trial dominates them.

    The first objective is the mean over a recipe's trials; a value that was not measured counts as the worst.
    """
    (_, direction), *others = objectives
    points = [
        (t.objective, *(t.values.get(name, way.sign * math.inf) for name, way in others)) for t in trials
    ]
    return non_dominated(points, [direction, *(way for _, way in others)])


def parse_baseline(text: str, base: Recipe) -> Candidate:
    """The candidate that ``FAMILY:OPTION=VALUE,...`` names, trained by `BASELINE_RECIPE`.

    Raises:
        InvalidValueError: an unknown family, option or field; an option given twice; or a value that breaks a
            rule.
    """
    text = "".join(text.split())  # a table that it was copied from may have broken it into lines
    family, _, words = text.partition(SEPARATOR)
    known = {option.name for option in get_model(family).options}
    given, problems = parse_options(words, family)
    problems += [f"{name} is the same for all candidates" for name in given if name in SAME_FOR_ALL]
    raise_if_any(f"baseline {text!r} (FAMILY:OPTION=VALUE,...)", problems)
    fields = {name: value for name, value in given.items() if name not in known}
    options = {name: value for name, value in given.items() if name in known}
    recipe = base.with_changes(**{"model": family, "model_options": options, **BASELINE_RECIPE, **fields})
    count_cost(recipe)  # raises if the images are too small for it
    return Candidate(name=text, changes=_changes(base, recipe), baseline=True)


def _changes(base: Recipe, recipe: Recipe) -> dict[str, Any]:
    """The fields in which a recipe differs from the base, as plain data."""
    before, after = base.as_dict(), recipe.as_dict()
    return {k: v for k, v in after.items() if k not in SAME_FOR_ALL and before[k] != v}


def _values(row: TrialRow) -> dict[str, float]:
    """Every value of the row that may be an objective, by name."""
    costs = {name: getattr(row, name) for name in ("macs", "parameters", "latency_ms")}
    known = {name: float(value) for name, value in costs.items() if value is not None}
    return {**known, **objectives_from_json(row.objectives)}
