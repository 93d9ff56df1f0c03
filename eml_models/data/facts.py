"""What a trained network must be used with: which images it takes, how they are standardised, its classes.

A snapshot keeps these facts and every exported file carries them, so that neither the data set nor its code
is needed where the network is used. Plain values, JSON both ways; no torch. `eml_models.data.loading` finds
those of a data set, `eml_models.training.trained` puts them into the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from eml_models.errors import InvalidValueError, raise_if_any

FORMAT = "eml_models.network/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What a network must know of the data set that it was trained on.

    Attributes:
        input_shape: (channels, height, width) of an image.
        value_range: the smallest and the largest stored value of the training images: 0 and 16 for the
            digits, 0 and 255 for the other shipped sets.
        mean, std: of each channel over all training images, in stored values; training standardises by them.
        class_names: in the order of the labels; empty where the data set has none.
        fingerprint: see `eml_models.data.datasets.data_fingerprint`.
    """

    input_shape: tuple[int, int, int]
    value_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_classes: int
    class_names: tuple[str, ...] = ()
    fingerprint: str

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, list):  # as JSON and snapshots have them
                object.__setattr__(self, f.name, tuple(value))
        raise_if_any("facts of the data", self._problems())

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain values, with lists for tuples."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: object) -> DataFacts:
        """What `as_dict` returned.

        Raises:
            InvalidValueError: it is something else.
        """
        if not isinstance(values, Mapping):
            raise InvalidValueError(f"facts of the data must be a mapping, got {type(values).__name__}")
        try:
            return cls(**values)
        except TypeError as error:  # a name too many or too few, or a value of another type
            raise InvalidValueError(f"facts of the data: {error}") from error

    def _problems(self) -> list[str]:
        channels = self.input_shape[0] if len(self.input_shape) == 3 else 0
        numbers = (*self.value_range, *self.mean, *self.std)
        problems = []
        if channels < 1:
            problems.append(f"input_shape must be (channels, height, width), got {self.input_shape}")
        elif not len(self.mean) == len(self.std) == channels or len(self.value_range) != 2:
            problems.append(f"mean and std must have {channels} numbers, and value_range two")
        if not all(map(math.isfinite, numbers)) or min(self.std, default=1) <= 0:
            problems.append("mean, std and value_range must be finite, and std positive")
        if self.class_names and len(self.class_names) != self.num_classes:
            problems.append(f"class_names must be {self.num_classes}, got {len(self.class_names)}")
        return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What an exported network says of itself.

    Attributes:
        recipe: as `Recipe.as_dict` writes it. Plain values, since a reader may not know its data set or
            family.
        epoch: epochs trained.
    """

    data: DataFacts
    recipe: Mapping[str, Any] = field(hash=False)
    epoch: int

    def __post_init__(self) -> None:
        needed = {"model": str, "model_options": Mapping, "dataset": str}
        given = self.recipe if isinstance(self.recipe, Mapping) else {}
        problems = [
            f"the recipe must name its {name}, got {given.get(name)!r}"
            for name, kind in needed.items()
            if not isinstance(given.get(name), kind)
        ]
        raise_if_any("facts of a network", problems)

    @property
    def takes(self) -> str:
        """The images that the network takes, in words: stored values, not scaled."""
        shape = ", ".join(map(str, self.data.input_shape))
        low, high = self.data.value_range
        return (
            f"images (N, {shape}) with the values that {self.recipe['dataset']} stores, {low:g} to {high:g};"
            " it standardises them itself, so do not scale them before"
        )

    def as_dict(self, *, dtype: str = "float32") -> dict[str, Any]:
        """Everything as plain values, for people and programs that have the exported file alone.

        Args:
            dtype: of the images that the written form takes.
        """
        data = self.data.as_dict()
        return {
            "format": FORMAT,
            "takes": f"{dtype} {self.takes}",
            "dtype": dtype,
            **{name: value for name, value in data.items() if name != "fingerprint"},
            "data_fingerprint": data["fingerprint"],
            "recipe": dict(self.recipe),
            "epoch": self.epoch,
        }
