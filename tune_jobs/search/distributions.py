"""Converts a space to Optuna's distributions, one per searched parameter, and drawn values back again.

The only place where our `Space`, with inclusive bounds and conditions, meets Optuna's distributions. Optuna
sees no constants, since there is nothing to learn from them, and no conditions: a parameter that does not
apply is absent from a trial, which Optuna understands. `sampler` and `optuna_view` call it.
"""

from __future__ import annotations

from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tune_jobs.study.parameters import Choice, Constant, Float, Integer, Parameter, Params, Value
from tune_jobs.study.space import Space

Searched = Float | Integer | Choice
Distributions = Mapping[str, BaseDistribution]


def distributions_of(space: Space) -> dict[str, BaseDistribution]:
    """The distribution of each searched parameter, including conditional parameters, in the space's order."""
    return {p.name: distribution_of(p) for p in space.parameters if not isinstance(p, Constant)}


def distribution_of(parameter: Searched) -> BaseDistribution:
    """Optuna's distribution over the same values.

    Optuna warns of a range that is not a whole number of steps, and shortens it. It therefore gets the last
    value on the grid as its upper bound.
    """
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.values)
    if isinstance(parameter, Integer):
        high = parameter.grid()[-1]
        return IntDistribution(parameter.low, high, log=parameter.log, step=parameter.step)
    if parameter.step is None:
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    values = parameter.grid() or (parameter.low,)
    return FloatDistribution(parameter.low, values[-1], step=parameter.step)


def joint_groups(space: Space) -> tuple[tuple[Searched, ...], ...]:
    """The searched parameters with more than one value, grouped by the condition under which they apply.

    Parameters of a group apply together, so TPE can model them jointly. A group's condition depends only on
    parameters of earlier groups, on constants, or on parameters of one value.
    """
    groups: dict[object, list[Searched]] = {}
    for parameter in space.parameters:
        if not isinstance(parameter, Constant) and not distribution_of(parameter).single():
            groups.setdefault(parameter.when, []).append(parameter)
    return tuple(tuple(group) for group in groups.values())


def only_value(parameter: Parameter) -> Value:
    """The value of a constant, or of a parameter whose range is one point."""
    return (parameter.grid() or ())[0]


def value_of(parameter: Searched, value: object) -> Value:
    """The parameter's own value for a drawn value: within its bounds and on its grid despite rounding."""
    if isinstance(parameter, Choice):
        assert isinstance(value, bool | int | float | str)
        return parameter.canonical(value)
    assert isinstance(value, int | float)
    return parameter.canonical(min(max(value, parameter.low), parameter.high))


def params_in(distributions: Distributions, params: Params) -> dict[str, Value]:
    """The part of a trial's params that Optuna sees."""
    return {name: value for name, value in params.items() if name in distributions}
