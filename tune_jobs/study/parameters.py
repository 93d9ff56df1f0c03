"""Parameters of a space: a float, an integer, a choice or a constant, each with its bounds and its condition.

Frozen values with their own rules. Bounds are inclusive. Parameters take their name and bounds by position
(``Float("learning_rate", 1e-4, 1.0, log=True)``), because a space is read far more often than written.
`tune_jobs.study.space` puts them together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from eml_models.errors import InvalidValueError, raise_if_any
from eml_models.shown import as_python
from eml_models.wording import cut
from tune_jobs.study.field_kinds import (
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Kind,
    Scalar,
    instance_of,
    item_problem,
    plain,
    read_fields,
    read_items,
)
from tune_jobs.study.steps import STEP_TOLERANCE, Steps
from tune_jobs.study.written_numbers import MAX_WHOLE

Value = Scalar | tuple[Scalar, ...]


Params = dict[str, Value]


class Role(StrEnum):
    """Whether a parameter is searched or fixed."""

    SEARCHED = "searched"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class When:
    """A condition: a parameter applies only if another, `parameter`, has one of `values`."""

    parameter: str
    values: tuple[Scalar, ...]

    def __repr__(self) -> str:
        return as_python(self)

    def __post_init__(self) -> None:
        subject = f"condition on {self.parameter!r}"
        read_fields(self, {"parameter": TEXT}, subject=subject)
        object.__setattr__(self, "values", read_items(f"{subject}: values", self.values))

    def holds(self, params: Mapping[str, Value]) -> bool:
        """Whether the other parameter has one of the values in `params`."""
        return any(_is_same(params.get(self.parameter), value) for value in self.values)


OF_ALL: Mapping[str, Kind] = {
    "name": TEXT,
    "when": instance_of(When, "a When", way_out="write such as when=When(PARAMETER, (VALUE,))").or_none(),
}
"""The kinds of the fields that every parameter has."""


@dataclass(frozen=True, slots=True)
class Float:
    """A real number in [low, high].

    Attributes:
        name: its key in params.
        low, high: inclusive bounds.
        log: whether its scale is logarithmic; then `low` is above 0, and there is no step.
        step: the distance of the values of a grid from `low`; None for a continuous range.
        when: the condition under which it applies; None for always.

    Raises:
        InvalidValueError: the bounds or the step break a rule; says which.
    """

    name: str
    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    when: When | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return as_python(self)

    def __post_init__(self) -> None:
        kinds = {"low": NUMBER, "high": NUMBER, "log": FLAG, "step": NUMBER.or_none()}
        read_fields(self, {**OF_ALL, **kinds}, subject=f"parameter {self.name!r}")
        for side in ("low", "high"):
            object.__setattr__(self, side, _as_float(getattr(self, side)))
        raise_if_any(f"parameter {self.name!r}", _range_problems(self))
        if self.step is not None:  # 0.7 + 0.1 is a little below 0.8, which is on the grid all the same
            object.__setattr__(self, "high", max(self.high, self._steps()[-1]))

    @property
    def role(self) -> Role:
        return Role.SEARCHED

    def problem_of(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            return f"must be a finite number in [{self.low:g}, {self.high:g}], got {cut(value)}"
        if not self.low <= value <= self.high:
            return f"must be in [{self.low:g}, {self.high:g}], got {cut(value)}"
        if self.step is not None:
            steps = float(self._steps().place_of(value))
            if abs(steps - round(steps)) > STEP_TOLERANCE * max(1.0, abs(steps)):
                return f"must be {self.low:g} plus a multiple of {self.step:g}, got {value!r}"
        return None

    def grid(self) -> Sequence[float] | None:
        """All values on the step's grid, each computed when it is asked for; None for a continuous range."""
        if self.step is None:
            return (self.low,) if self.low == self.high else None
        return self._steps()

    def canonical(self, value: Value) -> float:
        """`value` as a float; with a step the very number of the grid, so that 0.1 + 2 * 0.1 is 0.3."""
        assert isinstance(value, int | float)
        return float(value) if self.step is None else self._steps().nearest(value)

    def _steps(self) -> Steps:
        assert self.step is not None
        return Steps(self.low, self.high, step=self.step)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in [low, high].

    Attributes:
        name: its key in params.
        low, high: inclusive bounds.
        log: whether its scale is logarithmic; then `low` is at least 1, and there is no step.
        step: the distance of its values, which start at `low`.
        when: the condition under which it applies; None for always.

    Raises:
        InvalidValueError: the bounds or the step break a rule; says which.
    """

    name: str
    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int = field(default=1, kw_only=True)
    when: When | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return as_python(self)

    def __post_init__(self) -> None:
        kinds = {"low": WHOLE, "high": WHOLE, "log": FLAG, "step": WHOLE}
        read_fields(self, {**OF_ALL, **kinds}, subject=f"parameter {self.name!r}")
        raise_if_any(f"parameter {self.name!r}", _range_problems(self))

    @property
    def role(self) -> Role:
        return Role.SEARCHED

    def problem_of(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return f"must be a whole number in [{self.low}, {self.high}], got {cut(value)}"
        if not self.low <= value <= self.high:
            return f"must be in [{self.low}, {self.high}], got {cut(value)}"
        if (value - self.low) % self.step:
            return f"must be {self.low} plus a multiple of {self.step}, got {value}"
        return None

    def grid(self) -> range:
        """Every whole number of the range that lies on its step."""
        return range(self.low, self.high + 1, self.step)

    def canonical(self, value: Value) -> int:
        assert isinstance(value, int)
        return int(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values, without an order.

    Attributes:
        name: its key in params.
        values: numbers, texts and truth values, each once.
        when: the condition under which it applies; None for always.

    Raises:
        InvalidValueError: there is no value, or two of them are equal, as 1 and True are.
    """

    name: str
    values: tuple[Scalar, ...]
    when: When | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return as_python(self)

    def __post_init__(self) -> None:
        subject = f"parameter {self.name!r}"
        read_fields(self, OF_ALL, subject=subject)
        object.__setattr__(self, "values", read_items(f"{subject}: values", self.values))
        if len(set(self.values)) != len(self.values):
            raise InvalidValueError(
                f"{subject}: values must differ (1, 1.0 and True are equal), got {list(self.values)}"
            )

    @property
    def role(self) -> Role:
        return Role.SEARCHED

    def problem_of(self, value: object) -> str | None:
        if any(_is_same(value, known) for known in self.values):
            return None
        return f"must be one of {list(self.values)}, got {cut(value)}"

    def grid(self) -> tuple[Scalar, ...]:
        return self.values

    def canonical(self, value: Value) -> Value:
        return next(known for known in self.values if known == value)


@dataclass(frozen=True, slots=True)
class Constant:
    """A parameter with one value, which is part of every trial's params.

    Attributes:
        name: its key in params.
        value: the value; a list of values becomes a tuple.
        when: the condition under which it applies; None for always.
    """

    name: str
    value: Value
    when: When | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return as_python(self)

    def __post_init__(self) -> None:
        subject = f"parameter {self.name!r}"
        read_fields(self, OF_ALL, subject=subject)
        if isinstance(self.value, list | tuple):
            object.__setattr__(self, "value", read_items(f"{subject}: value", self.value, may_be_empty=True))
            return
        object.__setattr__(self, "value", plain(self.value))
        raise_if_any(subject, list(filter(None, [item_problem(self.value)])))

    @property
    def role(self) -> Role:
        return Role.FIXED

    def problem_of(self, value: object) -> str | None:
        if _is_same(value, self.value):
            return None
        return f"is fixed at {self.value!r}, got {cut(value)}"

    def grid(self) -> tuple[Value, ...]:
        return (self.value,)

    def canonical(self, value: Value) -> Value:
        return self.value


Parameter = Float | Integer | Choice | Constant
"""Any parameter. Each has a `role`; `problem_of(value)`, the reason for which it refuses a value, or None;
`grid()`, all of its values, or None for a continuous range; and `canonical(value)`, an admitted value in its
own type."""


def _is_same(value: object, known: Value) -> bool:
    """Whether JSON holds the values as equal: 32.0 is 32, a list is a tuple; but True is not 1."""
    if isinstance(value, list):
        value = tuple(value)
    return value == known and isinstance(value, bool) == isinstance(known, bool)


def _as_float(number: float) -> float:
    """The number as a float; infinite where no float holds a whole number of that size."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _is_finite(number: float) -> bool:
    """Whether a float can hold the number; a whole number may have any size."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _range_problems(parameter: Float | Integer) -> list[str]:
    low, high, step = parameter.low, parameter.high, parameter.step
    if isinstance(parameter, Integer) and max(abs(low), abs(high), abs(parameter.step)) > MAX_WHOLE:
        return [f"bounds and step must fit in 64 bits, got [{cut(low)}, {cut(high)}]; narrow the range"]
    problems = []
    if not (math.isfinite(low) and math.isfinite(high)):
        problems.append(f"bounds must be finite, got [{low}, {high}]")
    if low > high:
        problems.append(f"low must not be above high, got [{low:g}, {high:g}]; exchange them")
    if isinstance(parameter, Float) and not problems and not math.isfinite(high - low):
        problems.append(f"bounds must be less than 1.8e308 apart, got [{low:g}, {high:g}]; narrow the range")
    if parameter.log and 0 < low < high and math.log(low) == math.log(high):
        problems.append(
            f"bounds of a logarithmic range must have different logarithms, got [{low!r}, {high!r}]; widen"
            f" the range, leave log out, or hold the parameter: Constant({parameter.name!r}, {low!r})"
        )
    if parameter.log and low <= 0:
        problems.append(f"a logarithmic range must start above 0, got low={low:g}")
    if step is not None and not 0 < step < math.inf:
        problems.append(f"step must be a finite number above 0, got {step}")
    elif isinstance(parameter, Float) and step is not None and not problems:
        problems += _fine_step_problems(low, high, step)
    if parameter.log and step not in (None, 1):
        problems.append("log and step exclude each other; choose one")
    return problems


def _fine_step_problems(low: float, high: float, step: float) -> list[str]:
    """Problems of a step that is so small that two values of the grid would be the same float."""
    least = math.ulp(max(abs(low), abs(high)))
    if step >= least:
        return []
    return [
        f"step must be at least {least:.2g}, the distance of floats near the bounds, got {step:g}; leave it"
        " out to search every number of the range"
    ]
