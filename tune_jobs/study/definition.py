"""A study: a space, a base recipe, an objective, limits, a search method and a seed.

A frozen value and pure functions of it. `Study.definition` identifies the study: a store refuses to continue
a study whose definition has changed. The way in which it runs (workers, device, store) is not part of the
definition. Neither is the number of trials, which may grow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from eml_models import seeds
from eml_models.data.file_names import without_short_names
from eml_models.errors import InvalidValueError, UnknownNameError, raise_if_any
from eml_models.shown import html_table
from eml_models.training.recipe import Recipe
from eml_models.wording import cut
from tune_jobs.study.bindings import EPOCHS, OF_THE_STUDY, RECIPE_FIELDS, binding_problems
from tune_jobs.study.candidate import CANDIDATE, Candidate, candidate_problems
from tune_jobs.study.field_kinds import UnfitError, read_fields
from tune_jobs.study.fits import SHIPPED_FITS, Fit, fit_recipe, name_of_fit
from tune_jobs.study.front_space import spread_share
from tune_jobs.study.given_fields import FIELD_KINDS, as_limits
from tune_jobs.study.guidance import final_metric_problems, latency_problems, rung_problems
from tune_jobs.study.json_fields import MAX_COUNT
from tune_jobs.study.list_options import gather_lists
from tune_jobs.study.method import Asha, Bounds, LatencyMode, Limits, SamplerName
from tune_jobs.study.naming import name_problems
from tune_jobs.study.objective import (
    NAME_RULE,
    OWN_METRIC,
    Objective,
    as_objectives,
    objective_problems,
)
from tune_jobs.study.own_training import CostFunction, OwnRecipe, Train, calling_problems
from tune_jobs.study.parameters import Choice, Float, Integer, Parameter, Role, Value
from tune_jobs.study.rows import as_json_text
from tune_jobs.study.space import Space
from tune_jobs.study.words import PYTHON, WORDS, Parts, Spelling, fields_of

DEFINITION_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A search, as a value.

    A parameter or a list of them is taken as a space, a name or a list of names as objectives, and a mapping
    of costs to bounds as limits (`Limits.of_costs`).

    Attributes:
        name: ``[a-z][a-z0-9._-]*``; the key of the study in a store.
        space: what varies. A parameter named like a field of `Recipe` sets that field; any other is an option
            of the model, or a part of a list option: ``width_3`` is the third of ``widths``. `MACS_SHARE`
            (`tune_jobs.feasible.macs_share.resolve_recipe`), `CANDIDATE` and `REPEAT` are none of these.
        recipe: the base recipe that params change; every trial has its `epochs`, unless the space searches
            them. A study has either a recipe or `train`.
        candidates: the recipes between which the parameter `CANDIDATE` chooses; only a study of finalists has
            them.
        description: a sentence for people; not part of the definition.
        trials: the number of trials to train; not part of the definition.
        objectives: from one on. With several there is no single best trial but a front: the trials that no
            other trial beats in every objective. Where only one value is shown, it is that of the first. Of a
            recipe the first objective is a result of training; of own training it may be a cost, and early
            stopping (`asha`) then goes by the first objective that training reports.
        latency: the mode in which a worker measures a trial's network before training, or None for no
            measurement. Needed where latency is an objective or has a limit. Workers that share a machine
            disturb each other's times.
        asha: early stopping, or None to train every trial to its end.
        sampler: the method of proposing trials; its word is taken too.
        limits: what refuses a proposal before it is trained.
        train: the user's own training function (`tune_jobs.study.own_training.Train`), instead of a recipe.
            Its params are the values of the space under the user's names, bound to nothing. Its name is part
            of the definition, its code is not (`name_of_fit`).
        epochs: with `train`, the number of reports after which a trial is complete.
        cost: with `train`, the function that computes the costs of a trial from its params, before it trains
            (`tune_jobs.study.own_training.CostFunction`). Limits and objectives may name them.
        fit: the function that trains the recipe; inside only, for shipped trainings.
        seed: the root of every seed of the study.
    """

    name: str
    space: Space
    recipe: Recipe | None = None
    train: Train | None = None
    epochs: int | None = None
    description: str = ""
    trials: int = 24
    objectives: tuple[Objective, ...] = (Objective(),)
    asha: Asha | None = field(default_factory=Asha)
    sampler: SamplerName = SamplerName.TPE
    limits: Limits = field(default_factory=Limits)
    cost: CostFunction | None = None
    fit: Fit = fit_recipe
    seed: int = 0
    latency: LatencyMode | None = None
    candidates: tuple[Candidate, ...] = ()

    if TYPE_CHECKING:  # the types that a person may give; the fields have what becomes of them

        def __init__(
            self,
            *,
            name: str,
            space: Space | Parameter | Sequence[Parameter],
            recipe: Recipe | None = None,
            train: Train | None = None,
            epochs: int | None = None,
            description: str = "",
            trials: int = 24,
            objectives: str | Objective | Sequence[str | Objective] = ...,
            asha: Asha | None = ...,
            sampler: SamplerName | str = ...,
            limits: Limits | Mapping[str, Bounds] | None = ...,
            cost: CostFunction | None = None,
            fit: Fit = ...,
            seed: int = 0,
            latency: LatencyMode | None = None,
            candidates: tuple[Candidate, ...] = (),
        ) -> None: ...

    def __post_init__(self) -> None:
        if self.sampler not in list(SamplerName):
            raise UnknownNameError("sampler", self.sampler, list(SamplerName))
        object.__setattr__(self, "sampler", SamplerName(self.sampler))
        own = self.train is not None
        object.__setattr__(self, "limits", as_limits(self.limits))
        read_fields(self, FIELD_KINDS, subject=f"study {self.name!r}")
        objectives = tuple(replace(objective, own=own) for objective in as_objectives(self.objectives))
        object.__setattr__(self, "objectives", objectives)
        problems = [*name_problems(self.name), *own_training_problems(self)]
        if self.trials < 1:
            problems.append(f"trials must be at least 1, got {self.trials}")
        problems += objective_problems(objectives, own=own)
        problems += final_metric_problems(objectives, self.sampler, self.asha)
        if not own:
            problems += latency_problems(objectives, self.limits, self.latency)
            problems += [*candidate_problems(self.candidates, self.space), *binding_problems(self.space)]
        raise_if_any(f"study {self.name!r}", problems)

    def __repr__(self) -> str:
        return f"Study({self.name}: {'; '.join(f'{name} {value}' for name, value in self._facts())})"

    def _repr_html_(self) -> str:
        """What the study searches and how, and its space."""
        rows = list(self._facts())
        if self.description:
            rows.insert(0, ("description", self.description))
        return html_table(f"Study {self.name}", rows) + self.space._repr_html_()

    def _facts(self) -> Iterator[tuple[str, str]]:
        """The study in a few words, each with its subject."""
        yield "trials", f"{self.trials:,}"
        yield "objective", ", ".join(f"{o.direction} {o.metric}" for o in self.objectives)
        yield "parameters", ", ".join(p.name for p in self.space.parameters if p.role is Role.SEARCHED)
        yield "training", name_of_fit(self.training) if self.has_own_fit else repr(self.recipe)
        yield "epochs", str(self.max_epochs)
        yield "sampler", str(self.sampler)
        yield "rungs", ", ".join(map(str, self.rungs)) or "none"
        if limits := self.limits.bounds():
            yield "limits", ", ".join(f"{name} {value:,}" for name, value in limits.items())

    @property
    def objective(self) -> Objective:
        """The first objective: a metric of the reports, or of own training also a cost."""
        return self.objectives[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The objectives that reports hold; the others are costs."""
        return tuple(objective.metric for objective in self.objectives if not objective.is_cost)

    @property
    def shipped_recipe(self) -> Recipe:
        """The base recipe.

        Raises:
            InvalidValueError: the study trains by a function of its own, so it has no recipe.
        """
        if self.recipe is None:
            raise InvalidValueError(
                f"study {self.name!r} trains by its own function {name_of_fit(self.training)}, so it has no"
                " recipe: this works for the shipped training alone"
            )
        return self.recipe

    @property
    def training(self) -> Fit:
        """The function that trains: the user's own, or that of a recipe."""
        return self.train or self.fit

    @property
    def has_own_fit(self) -> bool:
        """Whether the training function is not a shipped one; it may not use the data set at all."""
        return name_of_fit(self.training) not in SHIPPED_FITS

    @property
    def max_epochs(self) -> int:
        """The epochs of the longest trials: those of the recipe, unless the space sets them."""
        if self.recipe is None:
            return self.epochs or 1
        if EPOCHS not in self.space.names:
            return self.recipe.epochs
        parameter = self.space[EPOCHS]
        if isinstance(parameter, Float | Integer):
            return int(parameter.high)
        values = parameter.values if isinstance(parameter, Choice) else (parameter.value,)
        return max((value for value in values if isinstance(value, int)), default=self.recipe.epochs)

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs below `max_epochs` at which trials stop or continue; empty without early stopping."""
        return self.asha.rungs(self.max_epochs) if self.asha else ()

    def epochs_for(self, params: Mapping[str, Value]) -> int:
        """The number of epochs of a trial with these params; own training binds no param to it."""
        if self.recipe is None:
            return self.max_epochs
        epochs = params.get(EPOCHS)
        return epochs if isinstance(epochs, int) else self.recipe.epochs

    def own_recipe_for(self, params: Mapping[str, Value], number: int) -> OwnRecipe:
        """The recipe of one trial of own training, with the trial's own seed.

        Raises:
            InvalidValueError: params are outside the space.
        """
        seed = seeds.derive(self.seed, number, "training")
        return OwnRecipe(params=self.space.validated(params), epochs=self.max_epochs, seed=seed)

    def recipe_for(self, params: Mapping[str, Value], number: int) -> Recipe:
        """The recipe of one trial: the base recipe, changed by `params`, with the trial's own seed.

        Raises:
            InvalidValueError: params are outside the space, or the recipe breaks a rule.
        """
        params = self.space.validated(params)
        base = self._base_recipe(params)
        changes: dict[str, Any] = {k: v for k, v in params.items() if k in RECIPE_FIELDS}
        options = {k: v for k, v in params.items() if k not in RECIPE_FIELDS | OF_THE_STUDY}
        if options:
            whole = gather_lists(options, str(changes.get("model", base.model)))
            changes["model_options"] = {**base.model_options, **whole}
        return replace(base, seed=seeds.derive(self.seed, number, "training"), **changes)

    def _base_recipe(self, params: Mapping[str, Value]) -> Recipe:
        """The study's recipe, as the candidate that `params` name changes it."""
        changes = {c.name: c.changes for c in self.candidates if c.name == params.get(CANDIDATE)}
        base = self.shipped_recipe
        return base.with_changes(**changes[str(params[CANDIDATE])]) if changes else base

    def definition(self) -> dict[str, object]:
        """Everything that identifies the study, as plain data."""
        return {
            "version": DEFINITION_VERSION,
            "space": self.space.as_json(),
            "recipe": {k: v for k, v in self.recipe.as_dict().items() if k != "seed"}
            if self.recipe
            else None,
            "train": name_of_fit(self.train) if self.train else None,
            "epochs": self.epochs,
            "cost": name_of_fit(self.cost) if self.cost else None,
            "objectives": [{"metric": o.metric, "direction": str(o.direction)} for o in self.objectives],
            "asha": _fields_of(self.asha),
            "rungs": list(self.rungs),
            "sampler": str(self.sampler),
            "limits": self.limits.as_json(),
            "fit": name_of_fit(self.training),
            "seed": self.seed,
            "candidates": [c.as_json() for c in self.candidates],
            "latency": _fields_of(self.latency),
        }

    def fingerprint(self) -> str:
        """Sixteen hex digits of the definition: equal for equal studies on every machine."""
        return definition_fingerprint(as_json_text(self.definition()))

    def with_changes(self, **changes: Any) -> Study:
        """A study derived from this one.

        Takes its fields, and the command line's words for changes of a study (`tune_jobs.study.words`):
        ``epochs`` ``dataset`` ``precision`` ``train_samples`` (of its recipe), ``max_macs`` ``min_macs``
        ``max_parameters`` ``max_latency_ms`` (as numbers, or as texts such as ``30M`` and ``0.5*resnet18``),
        ``measure_latency``, ``no_asha``, and ``fix``, a dictionary of parameters to hold at a value.

        New objectives with a cost among them also change the space: `macs_share` is then searched from
        small shares upwards (`tune_jobs.study.front_space`), unless `space` is given too.

        Raises:
            UnknownNameError: a change is neither a field of a study nor such a word, or `fix` names a
                parameter that the space does not have.
            InvalidValueError: a value breaks a rule, or would change nothing.
        """
        return self.changed_by(changes, PYTHON)

    def changed_by(self, changes: Mapping[str, Any], spelling: Spelling) -> Study:
        """What `with_changes` returns, with the words of errors as `spelling` writes them."""
        known = [f.name for f in fields(self)]
        for name in changes:
            if name not in known and name not in WORDS:
                raise UnknownNameError("field of a study", name, dict.fromkeys([*known, *WORDS]))
        words = {
            name: value
            for name, value in changes.items()
            if name in WORDS and not (name in known and value is None)
        }
        given = {name: value for name, value in changes.items() if name not in words}
        if "objectives" in given and "space" not in given and given.get("train", self.train) is None:
            given["space"] = spread_share(self.space, as_objectives(given["objectives"]))
        if not words:
            return replace(self, **given)
        parts = Parts(
            name=self.name,
            recipe=self._part("recipe", given),
            space=self._part("space", given),
            limits=self._part("limits", given),
        )
        return replace(self, **{**given, **fields_of(words, parts, spelling)})

    def _part(self, name: str, given: Mapping[str, Any]) -> Any:
        """A part of the study as changes give it, or its own."""
        value = given.get(name, getattr(self, name))
        value = as_limits(value) if name == "limits" else value
        try:
            return FIELD_KINDS[name].read(value)
        except UnfitError as error:
            problem = FIELD_KINDS[name].problem_of(name, value)
            raise InvalidValueError(f"study {self.name!r}: {problem}") from error


def definition_fingerprint(text: str) -> str:
    """Sixteen hex digits of a definition's JSON text. A data set of files counts by its fingerprint, whatever
    its files are called."""
    return hashlib.blake2b(without_short_names(text).encode(), digest_size=8).hexdigest()


def own_training_problems(study: Study) -> list[str]:
    """Problems of a study's recipe, own training function and epochs, which belong together."""
    if (study.recipe is None) == (study.train is None):
        got = "neither" if study.recipe is None else "both"
        return [f"a study has a recipe (recipe=) or its own training function (train=), got {got}"]
    if study.train is None:
        given = [name for name in ("epochs", "cost") if getattr(study, name) is not None]
        given += [f"limits on {name}" for name, _, _ in study.limits.own]
        return [f"{name}: this belongs to own training (train=), got a recipe" for name in given]
    problems = []
    problems += calling_problems("train", study.train, "params", "run")
    if study.cost is not None:
        problems += calling_problems("cost", study.cost, "params")
    if study.epochs is None or isinstance(study.epochs, bool) or not 1 <= study.epochs < MAX_COUNT:
        problems.append(
            "epochs must be the number of reports after which a trial is complete, a whole number of at least"
            f" 1, got {study.epochs!r}"
        )
    if study.latency is not None or study.limits.max_latency_ms is not None:
        problems.append("own training measures its latency itself; report it as a metric")
    if study.limits.names and study.cost is None:
        problems.append(f"limits ({', '.join(study.limits.names)}) need cost=, a function of params")
    problems += [
        f"a limit names a cost, whose name has {NAME_RULE}, got {cut(name)}"
        for name, _, _ in study.limits.own
        if not OWN_METRIC.fullmatch(name)
    ]
    return problems or rung_problems(study.objectives, study.rungs, study.limits.costs)


def _fields_of(part: Asha | LatencyMode | None) -> dict[str, object] | None:
    return {f.name: getattr(part, f.name) for f in fields(part)} if part else None
