"""Which network is measured: a family with options on images of one shape, as words name it.

``mobilenet:width_mult=0.5``, ``resnet18`` or a name of `NAMED`. Values only; no torch until one is built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.plan import Plan
from eml_models.registry import build_plan, get_model, known_models

CIFAR_SHAPE = (3, 32, 32)
CIFAR_CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network to measure.

    Attributes:
        name: what tables call it.
        options: of the family; those left out have their defaults.
        input_shape: (channels, height, width) of an image.
    """

    name: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    input_shape: tuple[int, int, int] = CIFAR_SHAPE
    num_classes: int = CIFAR_CLASSES

    def plan(self) -> Plan:
        """Its layers.

        Raises:
            InvalidValueError: the family refuses the options.
        """
        return build_plan(
            self.model, input_shape=self.input_shape, num_classes=self.num_classes, **self.options
        )


NAMED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "resnet18": ("resnet18", {}),
    "resnet18-35m": ("resnet18", {"width": 16}),
    "mobilenet-130m": ("mobilenet", {"width_mult": 1.2}),
    "mobilenet-30m": ("mobilenet", {"width_mult": 0.525}),
}
"""Networks with names, at 32 px and 10 classes: 555.4, 35.0, 133.3 and 29.0 M MACs."""


def parse_network(text: str) -> NetworkSpec:
    """The network that words name, on CIFAR's images: a name of `NAMED` or ``FAMILY:OPTION=VALUE,...``.

    Values are JSON (``widths=[1,1,2,1,1,1,1]``) or plain words.

    Raises:
        InvalidValueError: an unknown family, an option without a value, or one that the family refuses.
    """
    if text in NAMED:
        model, options = NAMED[text]
        return NetworkSpec(name=text, model=model, options=options)
    model, _, words = text.partition(":")
    if model not in known_models():
        raise UnknownNameError("network", model, (*NAMED, *known_models()))
    options = dict(_parse_option(text, word) for word in _split(words))
    get_model(model).resolve(options)
    return NetworkSpec(name=text, model=model, options=options)


def _split(words: str) -> list[str]:
    """The words between commas that stand outside of brackets."""
    parts, depth = [""], 0
    for character in words:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _parse_option(text: str, word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals or not name or not value:
        raise InvalidValueError(f"network {text!r}: an option is NAME=VALUE, got {word!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
