"""Space of a study: named parameters with inclusive bounds, conditions and constants.

Frozen values and pure functions. Proposals come from `tune_jobs.search`, which converts a `Space` into its
sampler's own distributions; this module knows no sampler. Parameters take their name and bounds by position
(``Float("learning_rate", 1e-4, 1.0, log=True)``), because a space is read far more often than written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from eml_models.errors import InvalidValueError, UnknownNameError, raise_if_any
from eml_models.wording import cut
from tune_jobs.study.same_names import alike
from tune_jobs.study.steps import STEP_TOLERANCE, Steps

Scalar = bool | int | float | str
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

    def __post_init__(self) -> None:
        if isinstance(self.values, str):
            raise InvalidValueError(
                f"condition on {self.parameter!r}: values must be a tuple, got {self.values!r};"
                f" write ({self.values!r},)"
            )
        object.__setattr__(self, "values", tuple(self.values))

    def holds(self, params: Mapping[str, Value]) -> bool:
        """Whether the other parameter has one of the values in `params`."""
        return any(_is_same(params.get(self.parameter), value) for value in self.values)


@dataclass(frozen=True, slots=True)
class Float:
    """A real number in [low, high], on a logarithmic scale if `log`, on a grid from `low` if `step`."""

    name: str
    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    when: When | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
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
    """A whole number in [low, high], on a logarithmic scale if `log`; steps start from `low`."""

    name: str
    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int = field(default=1, kw_only=True)
    when: When | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        problems = _range_problems(self)
        problems += [
            f"{side} must be a whole number, got {bound!r}"
            for side, bound in (("low", self.low), ("high", self.high), ("step", self.step))
            if isinstance(bound, bool) or not isinstance(bound, int)
        ]
        raise_if_any(f"parameter {self.name!r}", problems)

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
    """One of a few values, without an order."""

    name: str
    values: tuple[Scalar, ...]
    when: When | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        problems = []
        if not self.values:
            problems.append("a choice needs at least one value, got none")
        if len(set(self.values)) != len(self.values):
            problems.append(f"values must differ (1, 1.0 and True are equal), got {list(self.values)}")
        raise_if_any(f"parameter {self.name!r}", problems)

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
    """A parameter with one value, which is part of every trial's params."""

    name: str
    value: Value
    when: When | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.value, list):
            object.__setattr__(self, "value", tuple(self.value))

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


@dataclass(frozen=True, slots=True)
class Space:
    """Parameters in order; a conditional parameter comes after the parameter that it depends on."""

    parameters: tuple[Parameter, ...]

    def __init__(self, *parameters: Parameter) -> None:
        object.__setattr__(self, "parameters", tuple(parameters))
        raise_if_any("space", _space_problems(self.parameters))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all parameters, in order."""
        return tuple(p.name for p in self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise UnknownNameError("parameter", name, self.names)

    def active(self, params: Mapping[str, Value]) -> tuple[Parameter, ...]:
        """The parameters that apply under `params`, in order."""
        return tuple(p for p in self.parameters if p.when is None or p.when.holds(params))

    def validated(self, params: Mapping[str, Value]) -> Params:
        """`params` in the space's order and types; a whole number becomes a float where the parameter is one.

        Raises:
            InvalidValueError: values are unknown, missing, out of range or do not apply; shows all problems.
        """
        active = self.active(params)
        problems = [
            f"{name}: not in this space; known: {', '.join(self.names)}"
            for name in params
            if name not in self.names
        ]
        names = {p.name for p in active}
        problems += [
            f"{n}: does not apply to these params" for n in params if n in self.names and n not in names
        ]
        for parameter in active:
            if parameter.name not in params:
                problems.append(f"{parameter.name}: missing")
            elif (problem := parameter.problem_of(params[parameter.name])) is not None:
                problems.append(f"{parameter.name} {problem}")
        raise_if_any("params", problems)
        return {p.name: p.canonical(params[p.name]) for p in active}

    def fixed(self, values: Mapping[str, Value]) -> Space:
        """This space with some parameters as constants.

        Raises:
            InvalidValueError: a value is outside of its parameter's range.
        """
        problems = [
            f"{name} {problem}"
            for name, value in values.items()
            if (problem := self[name].problem_of(value)) is not None
        ]
        raise_if_any("fixed parameters", problems)
        return Space(
            *(
                Constant(p.name, p.canonical(values[p.name]), when=p.when) if p.name in values else p
                for p in self.parameters
            )
        )

    def iter_grid(self) -> Iterator[Params]:
        """Every point of the space, the last parameter fastest.

        Raises:
            InvalidValueError: a parameter is continuous, so there is no grid.
        """
        yield from _iter_grid(self.parameters, {})

    def as_json(self) -> list[dict[str, object]]:
        """The whole space as plain data; the study's fingerprint covers it."""
        return [_parameter_as_json(p) for p in self.parameters]


def _is_same(value: object, known: Value) -> bool:
    """Whether JSON holds the values as equal: 32.0 is 32, a list is a tuple; but True is not 1."""
    if isinstance(value, list):
        value = tuple(value)
    return value == known and isinstance(value, bool) == isinstance(known, bool)


def _is_finite(number: float) -> bool:
    """Whether a float can hold the number; a whole number may have any size."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _iter_grid(parameters: Sequence[Parameter], chosen: Params) -> Iterator[Params]:
    if not parameters:
        yield dict(chosen)
        return
    head, rest = parameters[0], parameters[1:]
    if head.when is not None and not head.when.holds(chosen):
        yield from _iter_grid(rest, chosen)
        return
    values = head.grid()
    if values is None:
        raise InvalidValueError(
            f"parameter {head.name!r} is continuous, so the space has no grid;"
            " give it a step or make it a Choice"
        )
    for value in values:
        yield from _iter_grid(rest, {**chosen, head.name: value})


def _range_problems(parameter: Float | Integer) -> list[str]:
    low, high, step = parameter.low, parameter.high, parameter.step
    problems = []
    if not (math.isfinite(low) and math.isfinite(high)):
        problems.append(f"bounds must be finite, got [{low}, {high}]")
    if low > high:
        problems.append(f"low must not be above high, got [{low:g}, {high:g}]; exchange them")
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


def _space_problems(parameters: tuple[Parameter, ...]) -> list[str]:
    problems = []
    seen: dict[str, Parameter] = {}
    for parameter in parameters:
        if not parameter.name.isidentifier():
            problems.append(f"a parameter's name must be an identifier (a-z, 0-9, _), got {parameter.name!r}")
        if parameter.name in seen:
            problems.append(f"parameter {parameter.name!r} appears twice; rename one")
        if parameter.when is not None:
            problems += _condition_problems(parameter.name, parameter.when, seen)
        seen[parameter.name] = parameter
    problems += [
        f"parameters {' and '.join(map(repr, names))} differ by the case of letters only, which SQL"
        " ignores; rename one"
        for names in alike(seen)
    ]
    return problems


def _condition_problems(name: str, when: When, earlier: Mapping[str, Parameter]) -> list[str]:
    if when.parameter not in earlier:
        return [f"{name!r} depends on {when.parameter!r}, which must come before it in the space"]
    parent = earlier[when.parameter]
    if isinstance(parent, Constant):
        return []
    return [
        f"{name!r} depends on {when.parameter}={value!r}, but {when.parameter!r} has no such value"
        for value in when.values
        if parent.problem_of(value) is not None
    ]


def _parameter_as_json(parameter: Parameter) -> dict[str, object]:
    data: dict[str, object] = {"kind": type(parameter).__name__.lower(), "role": str(parameter.role)}
    for slot in type(parameter).__slots__:
        value = getattr(parameter, slot)
        if isinstance(value, When):
            value = {"parameter": value.parameter, "values": list(value.values)}
        data[slot] = list(value) if isinstance(value, tuple) else value
    return data
