"""Describes a family of networks: its options with their bounds, and the function that draws its plan.

Frozen values; no torch. The module of a family (`small_cnn`, `resnet`, `mobilenet`, or a user's) makes one
`ModelFamily`. `eml_models.networks.registry` holds all families; other code imports them from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eml_models.errors import raise_if_any, sort_by_nearness
from eml_models.networks.plan import OptionValue, Plan


class OptionKind(StrEnum):
    """The kind of value that an option takes."""

    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    INTEGERS = "integers"
    NUMBERS = "numbers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a family.

    Attributes:
        name: its name in recipes and on the command line.
        kind: the kind of its value.
        default: the value if none is given; `doc` says what None means.
        low, high: inclusive bounds of the number, or of each number of a list.
        choices: the allowed values of a choice.
        length: the number of values in a list.
        odd: whether whole numbers must be odd, as the sides of kernels must.
    """

    name: str
    kind: OptionKind
    default: OptionValue
    doc: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    length: int = 0
    odd: bool = False

    def parse(self, value: object) -> OptionValue:
        """The value in its canonical form: numbers as float, lists as tuples (JSON has no tuples).

        Raises:
            ValueError: the value breaks the rule; the message is `rule`.
        """
        if value is None and self.default is None:
            return None
        if self.kind in (OptionKind.INTEGERS, OptionKind.NUMBERS):
            if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != self.length:
                raise ValueError(self.rule)
            numbers = [self._parse_number(number) for number in value]
            return (
                tuple(map(int, numbers)) if self.kind is OptionKind.INTEGERS else tuple(map(float, numbers))
            )
        if self.kind is OptionKind.FLAG and isinstance(value, bool):
            return value
        if self.kind is OptionKind.CHOICE and isinstance(value, str) and value in self.choices:
            return value
        if self.kind in (OptionKind.INTEGER, OptionKind.NUMBER):
            return self._parse_number(value)
        raise ValueError(self.rule)

    @property
    def rule(self) -> str:
        """The rule for values, as a text that follows "must be"."""
        bounds = f" in [{self.low:g}, {self.high:g}]{', odd' if self.odd else ''}"
        match self.kind:
            case OptionKind.INTEGER:
                text = "a whole number" + bounds
            case OptionKind.NUMBER:
                text = "a number" + bounds
            case OptionKind.INTEGERS:
                text = f"a list of {self.length} whole numbers" + bounds
            case OptionKind.NUMBERS:
                text = f"a list of {self.length} numbers" + bounds
            case OptionKind.FLAG:
                text = "true or false"
            case OptionKind.CHOICE:
                text = "one of " + ", ".join(self.choices)
        return text + (" or null" if self.default is None else "")

    def _parse_number(self, value: object) -> int | float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not isinstance(value, int | float) or not self.low <= value <= self.high:
            raise ValueError(self.rule)
        if self.kind in (OptionKind.NUMBER, OptionKind.NUMBERS):
            return float(value)
        if value != int(value) or (self.odd and int(value) % 2 == 0):
            raise ValueError(self.rule)
        return int(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """A family of networks.

    Attributes:
        name: its name in recipes and on the command line.
        draw: ``draw(net, **options)`` draws the layers with a `PlanBuilder`; it gets every option by name.
        options: its options; each has a default.
        width: name of the option, a number, that makes all layers wider; empty if there is none.
        source: the paper, and how this family deviates from it.
        build: ``build(plan)`` makes the torch module of a family that the general builder,
            `eml_models.networks.layers`, cannot build; None for all other families. The module must compute
            what the plan says (`count_macs` checks its MACs). The type does not need torch.
    """

    name: str
    draw: Callable[..., None]
    options: tuple[Option, ...] = ()
    width: str = ""
    source: str = ""
    build: Callable[[Plan], Any] | None = None

    def __post_init__(self) -> None:
        problems = [] if self.name.isidentifier() else [f"name must be an identifier, got {self.name!r}"]
        names = [option.name for option in self.options]
        problems += [
            f"two options have the name {name!r}; give each its own"
            for name in sorted({n for n in names if names.count(n) > 1})
        ]
        problems += [
            f"the default of option {option.name!r} must be {option.rule}, got {option.default!r}"
            for option in self.options
            if not _admits(option, option.default)
        ]
        kinds = {option.name: option.kind for option in self.options}
        if self.width and kinds.get(self.width) not in (OptionKind.INTEGER, OptionKind.NUMBER):
            problems.append(f"width must be the name of an option that is a number, got {self.width!r}")
        raise_if_any("model family", problems)

    @property
    def width_option(self) -> Option | None:
        """The option that `width` names."""
        return next((option for option in self.options if self.width and option.name == self.width), None)

    def resolve(self, options: Mapping[str, object]) -> dict[str, OptionValue]:
        """Every option with its canonical value, in the order of `options`.

        Raises:
            InvalidValueError: an unknown option, or a value that breaks a rule; the message lists all.
        """
        table = {option.name: option for option in self.options}
        problems = [self._unknown(name) for name in options if name not in table]
        resolved: dict[str, OptionValue] = {}
        for name, option in table.items():
            value = options.get(name, option.default)
            try:
                resolved[name] = option.parse(value)
            except ValueError as error:
                problems.append(f"option {name!r} must be {error}, got {value!r}")
        raise_if_any(f"model {self.name!r}", problems)
        return resolved

    def _unknown(self, name: str) -> str:
        nearest = sort_by_nearness(name, [option.name for option in self.options])
        return f"unknown option {name!r}; it takes: {', '.join(nearest) or 'no options'}"


def _admits(option: Option, value: object) -> bool:
    try:
        option.parse(value)
    except ValueError:
        return False
    return True
