"""Networks as text: a name of `NAMED`, or a family with its options, such as ``mobilenet:width_mult=0.5``.

`parse_network` reads such a text, `name_network` writes it. `on_one_input` gives the networks of a comparison
one input shape. This module holds values only, and imports no torch.
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
from eml_models.strict_json import parse_written

CIFAR_SHAPE = (3, 32, 32)
CIFAR_CLASSES = 10

SIDE = re.compile("[1-9][0-9]{0,4}")
"""Matches the side of an image in pixels, or its number of channels."""

SEPARATOR = ":"
"""Stands between a family and its options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network to measure.

    Attributes:
        name: its name in tables.
        model: name of the family.
        options: options of the family; an option that is left out has its default.
        input_shape: (channels, height, width) of an image.
    """

    name: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    input_shape: tuple[int, int, int] = CIFAR_SHAPE
    num_classes: int = CIFAR_CLASSES

    def plan(self) -> Plan:
        """The layers of the network.

        Raises:
            InvalidValueError: the family refuses the options.
        """
        return build_plan(
            self.model, input_shape=self.input_shape, num_classes=self.num_classes, **self.options
        )

    @property
    def shown_input(self) -> str:
        """Channels, height and width as tables and rows show them: ``1x8x8``."""
        return "x".join(map(str, self.input_shape))


NAMED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "resnet18": ("resnet18", {}),
    "resnet18-35m": ("resnet18", {"width": 16}),
    "mobilenet-130m": ("mobilenet", {"width_mult": 1.2}),
    "mobilenet-30m": ("mobilenet", {"width_mult": 0.525}),
}
"""Networks with short names. For images of 32 px and 10 classes: 555.4, 35.0, 133.3 and 29.0 M MACs."""


EXACT = 17
"""Significant digits that distinguish any two floats."""

LEAST_DIGITS = 3

PLAIN_WORD = re.compile(r"[\w.+/-]+", re.ASCII)
QUOTE = '"'
BEYOND_WORDS = re.compile(r"[\s,=\[\]']")
"""Characters at which `parse_options` splits a text, or that pasting loses."""


def parse_network(text: str) -> NetworkSpec:
    """Read a network, for CIFAR's images, from text: a name of `NAMED` or ``FAMILY:OPTION=VALUE,...``.

    Values are JSON (``widths=[1,1,2,1,1,1,1]``) or plain words. Spaces and line breaks are ignored: a text
    that was copied from a wrapped table has them.

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
    """Read (channels, height, width) from ``1,8,8`` or ``1x8x8``.

    Raises:
        InvalidValueError: the text is something else.
    """
    words = [word.strip() for word in text.replace("x", ",").split(",")]
    numbers = [int(word) for word in words if SIDE.fullmatch(word)]  # so 1,024 is not read as 1 and 24
    if len(words) != 3 or len(numbers) != 3:
        raise InvalidValueError(f"an input must be CHANNELS,HEIGHT,WIDTH, such as 3,32,32, got {text[:60]!r}")
    channels, height, width = numbers
    return channels, height, width


def on_one_input(
    networks: Sequence[NetworkSpec], *, trials: Collection[str], shape: tuple[int, int, int] | None = None
) -> list[NetworkSpec]:
    """Give all networks of a comparison one input shape, and the classes of the first trial.

    A network of `NAMED` that changes gets a name made of its family and options, because the short name
    states the MACs on CIFAR's images.

    Args:
        trials: names of the networks of trials. They were trained on images of one shape and are never built
            for another.
        shape: (channels, height, width) for all; None for the shape of the first trial, or for CIFAR's if
            there is no trial.

    Raises:
        InvalidValueError: a trial's network takes images of another shape. The message has a text that names
            a network like it.
    """
    first = next((network for network in networks if network.name in trials), None)
    shape = shape or (CIFAR_SHAPE if first is None else first.input_shape)
    classes = CIFAR_CLASSES if first is None else first.num_classes
    shown = NetworkSpec(name="", model="", input_shape=shape).shown_input
    raise_if_any(
        "latency",
        [
            f"trial {network.name} takes images of {network.shown_input}, but all networks are measured on"
            f" {shown}; measure the trial in a separate call, or replace it by a network like it:"
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
    """Read options from ``NAME=VALUE,...``; the second result lists what is wrong with the text.

    The value of a choice is always a text, even if it looks like something else (``null``, ``1e5``).
    """
    texts = {option.name for option in get_model(model).options if option.kind is OptionKind.CHOICE}
    options: dict[str, Any] = {}
    problems = []
    for word in _split(words):
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            problems.append(f"an option must be NAME=VALUE, got {word!r}")
        elif name in options:
            problems.append(f"{name} is given twice, got {word!r} too; choose one")
        else:
            is_text = name in texts and not value.startswith(QUOTE)
            options[name] = value if is_text else _parse_value(value)
    return options, problems


def name_network(network: NetworkSpec) -> str:
    """Write the shortest text that `parse_network` reads back as this network.

    Numbers are rounded to the fewest digits with which the family draws exactly the same layers for this
    input shape. They stay exact if that cannot be checked: in a family that this process does not know, and
    in a family that builds its module by itself.
    """
    options = {name: value for name, value in _in_order(network).items() if value is not None}
    return next(
        _as_words(network.model, rounded)
        for rounded in (*_iter_rounded(options), options)
        if rounded == options or _draws_the_same(network, rounded)
    )


def _in_order(network: NetworkSpec) -> dict[str, Any]:
    """The options in the order of the family's table, if this process knows the family."""
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
    except InvalidValueError:  # rounding may leave the bounds, and a family may change after a study
        return False


def _as_words(model: str, options: Mapping[str, Any]) -> str:
    words = ",".join(f"{name}={_as_word(value)}" for name, value in options.items())
    return f"{model}{SEPARATOR}{words}" if words else model


def _as_word(value: Any) -> str:
    """Write a value as JSON, but whole floats without ``.0``, and plain words without quotes.

    A text that would be read as another value keeps its quotes. The characters of `BEYOND_WORDS` are escaped.
    """
    if isinstance(value, tuple | list):
        return "[" + ",".join(map(_as_word, value)) + "]"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, str) and PLAIN_WORD.fullmatch(value) and _parse_value(value) == value:
        return value
    return BEYOND_WORDS.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value))


def _split(words: str) -> list[str]:
    """Split the text at the commas outside brackets."""
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
        return parse_written(text)
    except InvalidValueError:
        return text
