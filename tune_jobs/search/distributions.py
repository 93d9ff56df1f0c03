"""A space as Optuna sees it: each searched parameter as a distribution, and values back again.

The one edge between our inclusive, conditional `Space` and Optuna's distributions. Constants are not told to
Optuna (there is nothing to learn from them), and neither are conditions: a parameter that does not apply is
simply absent from a trial, which Optuna understands. `tune_jobs.search.sampler` and
`tune_jobs.search.optuna_view` call it.
"""

from __future__ import annotations

from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tune_jobs.study.space import Choice, Constant, Float, Integer, Parameter, Params, Space, Value

Searched = Float | Integer | Choice
Distributions = Mapping[str, BaseDistribution]


def distributions_of(space: Space) -> dict[str, BaseDistribution]:
    """The distribution of each searched parameter, conditional ones too, in the space's order."""
    return {p.name: distribution_of(p) for p in space.parameters if not isinstance(p, Constant)}


def distribution_of(parameter: Searched) -> BaseDistribution:
    """Optuna's distribution over the same values.

    Optuna warns of a range that is no whole number of steps and shortens it, so it is given the last value
    on the grid.
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
    """What Optuna drew as the parameter's own value: within its bounds and on its grid despite rounding."""
    if isinstance(parameter, Choice):
        assert isinstance(value, bool | int | float | str)
        return parameter.canonical(value)
    assert isinstance(value, int | float)
    return parameter.canonical(min(max(value, parameter.low), parameter.high))


def told_params(distributions: Distributions, params: Params) -> dict[str, Value]:
    """The part of a trial's params that Optuna sees."""
    return {name: value for name, value in params.items() if name in distributions}
