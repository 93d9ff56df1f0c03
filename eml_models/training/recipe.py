"""A recipe: everything needed to train one network once, as one frozen value.

It is plain data (JSON both ways) and imports no torch, so that a search can hold thousands. Names are
checked here against the tables of models, optimizers, schedules and data sets, and numbers against their
ranges. `eml_models.training.loop.fit` trains a recipe.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, get_args

from eml_models.data.datasets import get_dataset_spec
from eml_models.data.file_names import WORDS, split_word
from eml_models.errors import InvalidValueError, UnknownNameError, raise_if_any, sort_by_nearness
from eml_models.networks.registry import get_model
from eml_models.shown import as_python, has_default, html_table
from eml_models.training.optimizers import get_optimizer_spec
from eml_models.training.schedules import get_schedule_spec, multiplier_at

Precision = Literal["fp32", "bf16", "fp16"]
Augmentation = Literal["none", "flip", "crop", "crop_flip"]
TrainOn = Literal["train", "train_and_validation"]

MAX_SEED = 2**63 - 1
"""Seeds are stored in signed 64-bit columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The numbers that a field accepts; never an infinity or NaN."""

    low: float = 0
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    whole: bool = False
    optional: bool = False

    def parse(self, value: object) -> int | float | None:
        """The value as int, float or None.

        Raises:
            ValueError: the value breaks the rule; the message is the rule.
        """
        if value is None and self.optional:
            return None
        # numbers.Integral and Real also admit NumPy's numbers
        if isinstance(value, bool) or not isinstance(value, Real) or not self._contains(value):
            raise ValueError(self._rule())
        if not self.whole:
            return float(value)
        if not isinstance(value, Integral):
            raise ValueError(self._rule())
        return int(value)

    def _contains(self, number: Real) -> bool:
        value = int(number) if isinstance(number, Integral) else float(number)  # a float rounds a large int
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return math.isfinite(value) and above and below

    def _rule(self) -> str:
        kind = "a whole number" if self.whole else "a finite number"
        if math.isinf(self.high):
            bounds = f"{'above' if self.low_open else 'at least'} {self.low:g}"
        else:
            left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
            bounds = f"in {left}{self.low:g}, {self.high:g}{right}"
        return f"{kind} {bounds}{' or None' if self.optional else ''}"


RANGES: Mapping[str, Range] = {
    "learning_rate": Range(low_open=True),
    "momentum": Range(high=1, high_open=True, optional=True),
    "weight_decay": Range(),
    "warmup_fraction": Range(high=1, high_open=True),
    "epochs": Range(low=1, whole=True),
    "batch_size": Range(low=1, whole=True),
    "label_smoothing": Range(high=1, high_open=True),
    "max_grad_norm": Range(low_open=True, optional=True),
    "ema_decay": Range(high=1, low_open=True, high_open=True, optional=True),
    "cutout": Range(high=1),
    "validation_fraction": Range(high=1, low_open=True, high_open=True),
    "max_train_samples": Range(low=1, whole=True, optional=True),
    "seed": Range(high=MAX_SEED, whole=True),
}
"""The rule of each numeric field."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "precision": get_args(Precision),
    "augmentation": get_args(Augmentation),
    "train_on": get_args(TrainOn),
}
"""The values of each field with a fixed set of values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train one network once; equal recipes train equal networks.

    Attributes:
        model: a family of `eml_models.networks.registry`, with `model_options` (not to be changed in place).
        dataset: a data set of `eml_models.data.datasets`; or ``arrays:FILE.npz`` or ``folder:DIR``, which are
            read at once and become the name of their content (`eml_models.data.file_names`). A folder's
            decoded images are kept in the folder ``data``; ``load_dataset(word, data_dir=...).spec.name``
            keeps them elsewhere.
        optimizer: a name of `eml_models.training.optimizers`.
        learning_rate: the peak rate; `schedule` and warm-up multiply it by a number in [0, 1].
        momentum: None is the optimizer's default; must be None for an optimizer without momentum.
        weight_decay: of convolutions and linear layers; never of batch norms and biases.
        warmup_fraction: share of all steps over which the rate first rises linearly.
        epochs: passes over the training images.
        batch_size: the most images per step; the sizes of an epoch's batches differ by at most one image.
        precision: of the steps: ``fp32``, or autocast to ``bf16`` or ``fp16``.
        channels_last: order of the maps in memory. Changes results by rounding only; 1.2-1.6x faster on the
            CPU.
        augmentation: of training images, see `eml_models.data.augment`.
        label_smoothing: share of a label that is spread over all classes, in training only.
        max_grad_norm: gradients with a larger 2-norm are scaled down to it; None scales none.
        ema_decay: validate, test and keep an exponential moving average of the weights with this decay, see
            `eml_models.training.averaging`; None keeps the last weights. The training itself is the same.
        cutout: side of a square that is erased from each training image, as a share of the image's side; 0
            erases nothing. Source: arXiv 1708.04552, where it is 0.5 for CIFAR-10 and 0.25 for CIFAR-100.
        validation_fraction: share of the training set to hold out, the same images for every seed.
        train_on: ``train_and_validation`` trains on the held-out images too, so that there are no validation
            metrics; for the last training of a winner.
        max_train_samples: train on this number of images at most, of the images not held out: the same share
            of each class, drawn at random. One seed fixes the draw for all trials, so
            a larger part contains every smaller part. None is all of them.
        seed: of weights, order, augmentation and dropout. The split does not depend on it.
    """

    model: str = "small_cnn"
    model_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    dataset: str = "digits"
    optimizer: str = "sgd_momentum"
    learning_rate: float
    momentum: float | None = None
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup_fraction: float = 0.0
    epochs: int
    batch_size: int = 128
    precision: Precision = "fp32"
    channels_last: bool = True
    augmentation: Augmentation = "none"
    # off: 0.1 loses 1.7 [0.6, 2.8] points on digits, 0.09 M MACs (n = 10, benchmarks.recipe_options)
    label_smoothing: float = 0.0
    max_grad_norm: float | None = None
    # off: 0.99 gains nothing there at the end, 4.8 [1.5, 8.1] points after a third of the epochs
    ema_decay: float | None = None
    # off: 0.25 gains 0.1 [-0.5, 0.7] points there
    cutout: float = 0.0
    validation_fraction: float = 0.2
    train_on: TrainOn = "train"
    max_train_samples: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [*self._parse_numbers(), *self._choice_problems(), *self._table_problems()]
        if not isinstance(self.channels_last, bool):
            problems.append(f"channels_last must be True or False, got {self.channels_last!r}")
        raise_if_any("recipe", problems)

    def __repr__(self) -> str:
        return as_python(self)

    def _repr_html_(self) -> str:
        """All fields, those that do not have their defaults first."""
        named = sorted(fields(self), key=lambda field: has_default(field, getattr(self, field.name)))
        return html_table("Recipe", [(field.name, getattr(self, field.name)) for field in named])

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe from a text of `to_json`; missing fields get their defaults.

        Raises:
            InvalidValueError: the text is not JSON, a field is unknown, a field without a default is missing,
                or a value breaks a rule.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidValueError(f"a recipe must be JSON, got {text[:60]!r}: {error}") from error
        if not isinstance(data, dict):
            raise InvalidValueError(f"a recipe must be a JSON object, got {text[:60]!r}")
        names = [f.name for f in fields(cls)]
        problems = [
            f"unknown field {name!r}; known, nearest first: {', '.join(sort_by_nearness(name, names))}"
            for name in data
            if name not in names
        ]
        problems += [f"{name} is missing" for name in ("learning_rate", "epochs") if name not in data]
        raise_if_any("recipe", problems)
        return cls(**data)

    def to_json(self) -> str:
        """The recipe as JSON with sorted keys and no spaces: equal recipes give equal texts."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def as_dict(self) -> dict[str, Any]:
        """Every field by its name, as plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        options = {name: _as_plain(value) for name, value in self.model_options.items()}
        return {**values, "model_options": options}

    def with_changes(self, **changes: Any) -> Recipe:
        """A copy of this recipe with some fields changed.

        Raises:
            InvalidValueError: a field is unknown, or a value breaks a rule.
        """
        known = [f.name for f in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownNameError("field of a recipe", name, known)
        return replace(self, **changes)

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate at a share of all steps in [0, 1]."""
        return self.learning_rate * multiplier_at(self.schedule, progress, self.warmup_fraction)

    def _parse_numbers(self) -> Iterator[str]:
        for name, rule in RANGES.items():
            try:
                object.__setattr__(self, name, rule.parse(getattr(self, name)))
            except ValueError as error:
                yield f"{name} must be {error}, got {getattr(self, name)!r}"

    def _choice_problems(self) -> Iterator[str]:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                yield f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"

    def _table_problems(self) -> Iterator[str]:
        checks = {
            "model": self._check_model,
            "dataset": self._check_dataset,
            "optimizer": self._check_optimizer,
            "schedule": self._check_schedule,
        }
        for name, check in checks.items():
            if not isinstance(getattr(self, name), str):
                rule = f"a text: a name, {' or '.join(WORDS)}" if name == "dataset" else "a name"
                yield f"{name} must be {rule}, got {getattr(self, name)!r}"
                continue
            try:
                check()
            except InvalidValueError as error:
                yield str(error).replace("\n", "\n  ")  # a list of problems in the list of problems

    def _check_dataset(self) -> None:
        name = get_dataset_spec(self.dataset).name
        if split_word(self.dataset) is not None:  # a recipe says what the files hold, not where they lie
            object.__setattr__(self, "dataset", name)

    def _check_schedule(self) -> None:
        get_schedule_spec(self.schedule)

    def _check_optimizer(self) -> None:
        spec = get_optimizer_spec(self.optimizer)
        if self.momentum is not None:
            spec.check_momentum(self.momentum)

    def _check_model(self) -> None:
        """Bring the given options into their canonical form, sorted by name."""
        if not isinstance(self.model_options, Mapping):
            raise InvalidValueError(f"model_options must be a mapping, got {self.model_options!r}")
        resolved = get_model(self.model).resolve(self.model_options)
        object.__setattr__(
            self, "model_options", {name: resolved[name] for name in sorted(self.model_options)}
        )


def describe_differences(old: Recipe, new: Recipe) -> list[str]:
    """One readable line per field that differs between two recipes; empty if they are equal."""
    before, after = old.as_dict(), new.as_dict()
    return [f"{k}: was {before[k]!r}, is now {after[k]!r}" for k in before if before[k] != after[k]]


def _as_plain(value: object) -> object:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
