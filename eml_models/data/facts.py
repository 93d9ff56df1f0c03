"""The facts that the use of a trained network needs: its images, their standardisation, its classes.

A snapshot keeps these facts and every exported file carries them, so that a program can use the network
without the data set and its code. Plain values, JSON both ways; no torch. `eml_models.data.loading` finds the
facts of a data set, and `eml_models.training.trained` puts them into the network.
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
    """The facts of a training data set that its network needs.

    Attributes:
        input_shape: (channels, height, width) of an image.
        value_range: the smallest and the largest stored value of the training images: 0 and 16 for the
            digits, 0 and 255 for the other shipped sets.
        mean, std: of each channel over all training images, in stored values; images are standardised by
            them.
        num_classes: number of classes.
        class_names: in the order of the labels; empty if the data set has none.
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
            if isinstance(value, list):  # JSON and snapshots hold lists
                object.__setattr__(self, f.name, tuple(value))
        raise_if_any("facts of the data", self._problems())

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain values, with lists for tuples."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: object) -> DataFacts:
        """The facts from the result of `as_dict`.

        Raises:
            InvalidValueError: the values are not such a result.
        """
        if not isinstance(values, Mapping):
            raise InvalidValueError(f"facts of the data must be a mapping, got {type(values).__name__}")
        try:
            return cls(**values)
        except TypeError as error:  # a name is missing or unknown, or a value has another type
            raise InvalidValueError(f"facts of the data: {error}") from error

    def _problems(self) -> list[str]:
        channels = self.input_shape[0] if len(self.input_shape) == 3 else 0
        numbers = (*self.value_range, *self.mean, *self.std)
        problems = []
        if channels < 1:
            problems.append(f"input_shape must be (channels, height, width), got {self.input_shape}")
        elif not len(self.mean) == len(self.std) == channels or len(self.value_range) != 2:
            problems.append(
                f"mean and std must have {channels} numbers each, and value_range two; got {len(self.mean)},"
                f" {len(self.std)} and {len(self.value_range)}"
            )
        if not all(map(math.isfinite, numbers)) or min(self.std, default=1) <= 0:
            problems.append("mean, std and value_range must be finite, and std must be positive")
        if self.class_names and len(self.class_names) != self.num_classes:
            problems.append(f"there must be {self.num_classes} class_names, got {len(self.class_names)}")
        return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """The facts that an exported network carries.

    Attributes:
        data: of its training data.
        recipe: the result of `Recipe.as_dict`. Plain values, because the reading process may not know the
            data set or the family.
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
        """The network's input in words: images with stored values, not scaled."""
        shape = ", ".join(map(str, self.data.input_shape))
        low, high = self.data.value_range
        return (
            f"images (N, {shape}) with the stored values of {self.recipe['dataset']}, {low:g} to {high:g};"
            " the network standardises them itself, so do not scale them first"
        )

    def as_dict(self, *, dtype: str = "float32") -> dict[str, Any]:
        """Everything as plain values, for people and programs with nothing but the exported file.

        Args:
            dtype: of the input images of the exported form.
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
