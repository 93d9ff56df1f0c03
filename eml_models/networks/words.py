"""Which network is measured: a family with options on images of one shape, as words name it.

``mobilenet:width_mult=0.5``, ``resnet18`` or a name of `NAMED`; and the way back, from a network to words
that name it. What is compared takes one input: `on_one_input`. Values only; no torch until one is built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from eml_models.errors import InvalidValueError, UnknownNameError, raise_if_any
from eml_models.networks.family import OptionKind
from eml_models.networks.plan import Plan
from eml_models.networks.registry import build_plan, get_model, known_models
from eml_models.strict_json import parse_json

CIFAR_SHAPE = (3, 32, 32)
CIFAR_CLASSES = 10

SIDE = re.compile("[1-9][0-9]{0,4}")
"""The side of an image, or its channels."""

SEPARATOR = ":"
"""Between a family and its options."""


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

    @property
    def shown_input(self) -> str:
        """``1x8x8``: channels, height and width, as tables and rows write it."""
        return "x".join(map(str, self.input_shape))


NAMED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "resnet18": ("resnet18", {}),
    "resnet18-35m": ("resnet18", {"width": 16}),
    "mobilenet-130m": ("mobilenet", {"width_mult": 1.2}),
    "mobilenet-30m": ("mobilenet", {"width_mult": 0.525}),
}
"""Networks with names, at 32 px and 10 classes: 555.4, 35.0, 133.3 and 29.0 M MACs."""


EXACT = 17
"""Significant digits that distinguish any two floats."""

LEAST_DIGITS = 3

PLAIN_WORD = re.compile(r"[\w.+/-]+", re.ASCII)
QUOTE = '"'
BEYOND_WORDS = re.compile(r"[\s,=\[\]']")
"""What `parse_options` and pasting take out of a text, or apart."""


def parse_network(text: str) -> NetworkSpec:
    """The network that words name, on CIFAR's images: a name of `NAMED` or ``FAMILY:OPTION=VALUE,...``.

    Values are JSON (``widths=[1,1,2,1,1,1,1]``) or plain words. Line breaks and spaces, as pasting what a
    table has wrapped brings them, are no part of the name.

    Raises:
        InvalidValueError: an unknown family, an option without a value or with two values, or an option that
            the family refuses.
    """
    text = "".join(text.split())
    if text in NAMED:
        model, options = NAMED[text]
        return NetworkSpec(name=text, model=model, options=options)
    model, _, words = text.partition(SEPARATOR)
    if model not in known_models():
        raise UnknownNameError("network", model, tuple(dict.fromkeys((*NAMED, *known_models()))))
    options, problems = parse_options(words, model)
    raise_if_any(f"network {text!r}", problems)
    get_model(model).resolve(options)
    return NetworkSpec(name=text, model=model, options=options)


def parse_input(text: str) -> tuple[int, int, int]:
    """The (channels, height, width) that ``1,8,8`` or ``1x8x8`` names.

    Raises:
        InvalidValueError: it is something else.
    """
    words = [word.strip() for word in text.replace("x", ",").split(",")]
    numbers = [int(word) for word in words if SIDE.fullmatch(word)]  # 1,024 would be 1 and 24
    if len(words) != 3 or len(numbers) != 3:
        raise InvalidValueError(f"an input is CHANNELS,HEIGHT,WIDTH, such as 3,32,32, got {text[:60]!r}")
    channels, height, width = numbers
    return channels, height, width


def on_one_input(
    networks: Sequence[NetworkSpec], *, trials: Collection[str], shape: tuple[int, int, int] | None = None
) -> list[NetworkSpec]:
    """The networks as they are compared: on images of one shape, families with as many classes as the trial.

    A name of `NAMED` whose network is now another one becomes words: it tells MACs on CIFAR's images.

    Args:
        trials: the names of those that belong to a trial. Such a network is what was trained and is never
            built for other images.
        shape: None for that of the first trial, and CIFAR's where there is none.

    Raises:
        InvalidValueError: a trial's network takes images of another shape; the message has its words.
    """
    first = next((network for network in networks if network.name in trials), None)
    shape = shape or (CIFAR_SHAPE if first is None else first.input_shape)
    classes = CIFAR_CLASSES if first is None else first.num_classes
    shown = NetworkSpec(name="", model="", input_shape=shape).shown_input
    raise_if_any(
        "latency",
        [
            f"trial {network.name} takes images of {network.shown_input}, and all are measured on {shown}:"
            " leave it to a call of its own, or name a network like it for the other images:"
            f" {name_network(network)!r}"
            for network in networks
            if network.name in trials and network.input_shape != shape
        ],
    )
    return [
        network if network.name in trials else _rebuilt(network, shape, num_classes=classes)
        for network in networks
    ]


def _rebuilt(network: NetworkSpec, shape: tuple[int, int, int], *, num_classes: int) -> NetworkSpec:
    changed = replace(network, input_shape=shape, num_classes=num_classes)
    return (
        replace(changed, name=name_network(changed))
        if changed != network and network.name in NAMED
        else changed
    )


def parse_options(words: str, model: str) -> tuple[dict[str, Any], list[str]]:
    """The options that ``NAME=VALUE,...`` gives, and what is wrong with these words.

    What is a choice of the family is a text, whatever it looks like (``null``, ``1e5``).
    """
    texts = {option.name for option in get_model(model).options if option.kind is OptionKind.CHOICE}
    options: dict[str, Any] = {}
    problems = []
    for word in _split(words):
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            problems.append(f"an option is NAME=VALUE, got {word!r}")
        elif name in options:
            problems.append(f"{name} is given twice, got {word!r} too; choose one")
        else:
            is_text = name in texts and not value.startswith(QUOTE)
            options[name] = value if is_text else _parse_value(value)
    return options, problems


def name_network(network: NetworkSpec) -> str:
    """Words that `parse_network` reads back as this network, as short as they can be.

    Numbers are rounded to the fewest digits with which the family draws the very same layers on images of
    this shape. They stay exact where that cannot be known: in a family that this process does not know,
    or a family that builds its module by itself.
    """
    options = {name: value for name, value in _in_order(network).items() if value is not None}
    return next(
        _as_words(network.model, rounded)
        for rounded in (*_iter_rounded(options), options)
        if rounded == options or _draws_the_same(network, rounded)
    )


def _in_order(network: NetworkSpec) -> dict[str, Any]:
    """The options in the order of the family's table, where this process knows it."""
    known = get_model(network.model).options if network.model in known_models() else ()
    ordered = [option.name for option in known if option.name in network.options]
    return {name: network.options[name] for name in (*ordered, *network.options)}


def _iter_rounded(options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for digits in range(LEAST_DIGITS, EXACT):
        yield {name: _rounded(value, digits) for name, value in options.items()}


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, tuple | list):
        return tuple(_rounded(item, digits) for item in value)
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def _draws_the_same(network: NetworkSpec, options: Mapping[str, Any]) -> bool:
    if network.model not in known_models() or get_model(network.model).build is not None:
        return False
    try:
        return replace(network, options=options).plan().nodes == network.plan().nodes
    except InvalidValueError:  # a rounded number may leave its bounds, and a family change after a study
        return False


def _as_words(model: str, options: Mapping[str, Any]) -> str:
    words = ",".join(f"{name}={_as_word(value)}" for name, value in options.items())
    return f"{model}{SEPARATOR}{words}" if words else model


def _as_word(value: Any) -> str:
    """JSON, but whole floats without their point, and plain words without quotes.

    In quotes stands a text that would be read as something else, with escapes for what words do not hold.
    """
    if isinstance(value, tuple | list):
        return "[" + ",".join(map(_as_word, value)) + "]"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, str) and PLAIN_WORD.fullmatch(value) and _parse_value(value) == value:
        return value
    return BEYOND_WORDS.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value))


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


def _parse_value(text: str) -> Any:
    try:
        return parse_json(text)
    except InvalidValueError:
        return text
