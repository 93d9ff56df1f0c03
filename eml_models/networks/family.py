"""What a family of networks is: its options with their bounds, and the function that draws its plan.

Frozen values; no torch. `eml_models.networks.registry` holds the families and is what others import; a
family's own module (`small_cnn`, `resnet`, `mobilenet`, or a user's) makes one `ModelFamily`.
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
    """What values an option takes."""

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
        default: used where none is given; None stands for what `doc` says.
        low, high: inclusive bounds of the number, or of each number of a list.
        choices: what a choice may be.
        length: how many numbers a list has.
        odd: whole numbers must be odd, as the sides of kernels are.
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
        """The value in its canonical form: numbers as float, lists (JSON has no tuples) as tuples.

        Raises:
            ValueError: it breaks the rule; the message is `rule`.
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
        """What a value must be, in words."""
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
        name: how recipes and the command line call it.
        draw: ``draw(net, **options)`` draws the layers onto a `PlanBuilder`; it gets every option, by name.
        options: what may be chosen; all have defaults.
        width: the option, a number, that makes all layers wider; empty if there is none.
        source: the paper, and how this deviates from it.
        build: ``build(plan)`` makes the torch module where the general builder of
            `eml_models.networks.layers` cannot; the module must do what the plan says (`count_macs` checks
            its MACs). Typed without torch.
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
            f"two options are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        problems += [
            f"the default of option {option.name!r} must be {option.rule}, got {option.default!r}"
            for option in self.options
            if not _admits(option, option.default)
        ]
        kinds = {option.name: option.kind for option in self.options}
        if self.width and kinds.get(self.width) not in (OptionKind.INTEGER, OptionKind.NUMBER):
            problems.append(f"width must name an option that is a number, got {self.width!r}")
        raise_if_any("model family", problems)

    @property
    def width_option(self) -> Option | None:
        """The option that `width` names."""
        return next((option for option in self.options if self.width and option.name == self.width), None)

    def resolve(self, options: Mapping[str, object]) -> dict[str, OptionValue]:
        """Every option with its canonical value, in the order of the table.

        Raises:
            InvalidValueError: unknown options and values that break a rule, all together.
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
