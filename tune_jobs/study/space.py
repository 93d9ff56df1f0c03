"""Space of a study: named parameters with inclusive bounds, conditions and constants.

Frozen values and pure functions. Proposals come from `tune_jobs.search`, which converts a `Space` into its
sampler's own distributions; this module knows no sampler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eml_models.errors import InvalidValueError, UnknownNameError, raise_if_any
from eml_models.shown import html_table
from eml_models.wording import cut
from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, Params, Value, When
from tune_jobs.study.same_names import alike

EXAMPLE = 'Space(Float("learning_rate", 1e-4, 1.0, log=True), Choice("optimizer", ("sgd", "adam")))'
"""A space as a person writes it, for messages."""


MAX_SHOWN = 5
"""Most parameters that the short form of a space shows."""


@dataclass(frozen=True, slots=True)
class Space:
    """Parameters in order; a conditional parameter comes after the parameter that it depends on.

    They may also come as one list: ``Space([...])``.

    Attributes:
        parameters: a `Float`, `Integer`, `Choice` or `Constant` each.

    Raises:
        InvalidValueError: a name is no identifier or is given twice, or a condition names no earlier
            parameter.
    """

    parameters: tuple[Parameter, ...]

    def __init__(self, *parameters: Parameter | Sequence[Parameter]) -> None:
        object.__setattr__(self, "parameters", _as_parameters(parameters))
        raise_if_any("space", _space_problems(self.parameters))

    def __repr__(self) -> str:
        shown = [repr(parameter) for parameter in self.parameters[:MAX_SHOWN]]
        more = len(self.parameters) - len(shown)
        return f"Space({', '.join(shown)}{f', and {more} more' if more else ''})"

    def _repr_html_(self) -> str:
        """A row for each parameter: its values, and the condition under which it applies."""
        return html_table("Space", map(_row_of, self.parameters), columns=("name", "values", "applies if"))

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
            InvalidValueError: a value is outside of its parameter's range, or is of a parameter that another
                constant rules out.
        """
        problems = [
            f"{name} {problem}"
            for name, value in values.items()
            if (problem := self[name].problem_of(value)) is not None
        ]
        raise_if_any("fixed parameters", problems)
        space = Space(
            *(
                Constant(p.name, p.canonical(values[p.name]), when=p.when) if p.name in values else p
                for p in self.parameters
            )
        )
        ruled_out = space._ruled_out()
        raise_if_any("fixed parameters", [text for name, text in ruled_out.items() if name in values])
        return space

    def _ruled_out(self) -> dict[str, str]:
        """The parameters that apply to no params, because of a constant; each with the reason and way out."""
        found: dict[str, str] = {}
        for p in self.parameters:
            if p.when is None:
                continue
            parent = self[p.when.parameter]
            wanted = " or ".join(map(repr, p.when.values))
            reason = f"{p.name} applies only with {parent.name} {wanted}, but {parent.name}"
            if parent.name in found:
                found[p.name] = f"{reason} does not apply either; leave {p.name} out"
            elif isinstance(parent, Constant) and not p.when.holds({parent.name: parent.value}):
                found[p.name] = (
                    f"{reason} is fixed at {parent.value!r}; leave {p.name} out, or fix {parent.name} at"
                    f" {wanted}"
                )
        return found

    def iter_grid(self) -> Iterator[Params]:
        """Every point of the space, the last parameter fastest.

        Raises:
            InvalidValueError: a parameter is continuous, so there is no grid.
        """
        yield from _iter_grid(self.parameters, {})

    def as_json(self) -> list[dict[str, object]]:
        """The whole space as plain data; the study's fingerprint covers it."""
        return [_parameter_as_json(p) for p in self.parameters]


def _row_of(parameter: Parameter) -> tuple[str, str, str]:
    """The name of a parameter, its values and its condition, in words."""
    if isinstance(parameter, Choice):
        values = ", ".join(map(str, parameter.values))
    elif isinstance(parameter, Constant):
        values = f"{parameter.value} (fixed)"
    else:
        values = f"{parameter.low:g} to {parameter.high:g}{', logarithmic' if parameter.log else ''}"
        if parameter.step not in (None, 1) or (isinstance(parameter, Float) and parameter.step):
            values += f", in steps of {parameter.step:g}"
    when = parameter.when
    condition = f"{when.parameter} is {' or '.join(map(str, when.values))}" if when else ""
    return parameter.name, values, condition


def _as_parameters(given: Sequence[object]) -> tuple[Parameter, ...]:
    """The parameters of a space as a person gives them: one by one, or in one list.

    Raises:
        InvalidValueError: something else is among them; names all that is.
    """
    items = given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given
    found = tuple(item for item in items if isinstance(item, Float | Integer | Choice | Constant))
    problems = [
        f"a parameter is a Float, an Integer, a Choice or a Constant, got {cut(item)}; write such as"
        f" {EXAMPLE}"
        for item in items
        if not isinstance(item, Float | Integer | Choice | Constant)
    ]
    raise_if_any("space", problems)
    return found


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
